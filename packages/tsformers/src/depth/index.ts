// How blocks follow one another.

export { leakyAverage, type StateUpdate, weightedSum } from "./act.ts";
export type { DepthEntry } from "./depth-entry.ts";
export { type Confidence, type EarlyExitOptions, earlyExit, saturation } from "./early-exit.ts";
export {
  type DepthMaker,
  type EarlyExitSettings,
  earlyExitEntry,
  exiting,
  recomputedEntry,
  recomputing,
  repeating,
  reversibleEntry,
  reversing,
  type SharedSettings,
  sharedEntry,
  sharing,
  stackEntry,
  stacked,
  type UniversalSettings,
  universalEntry,
} from "./makers.ts";
export { recomputed } from "./recomputed.ts";
export {
  joinedStreams,
  meanOfStreams,
  type ReversibleBlock,
  type ReversibleOptions,
  reversible,
  reversibleBlock,
  type StreamMerge,
  sumOfStreams,
} from "./reversible.ts";
export { type SharedOptions, type SharedParams, shared } from "./shared.ts";
export { blockStack, type StackParams } from "./stack.ts";
export { type UniversalOptions, type UniversalParams, universal } from "./universal.ts";
