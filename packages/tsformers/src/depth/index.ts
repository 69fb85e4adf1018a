// How blocks follow one another.

export { leakyAverage, type StateUpdate, weightedSum } from "./act.ts";
export type { DepthEntry, DepthMaker } from "./depth-entry.ts";
export {
  type Confidence,
  type EarlyExitOptions,
  type EarlyExitSettings,
  earlyExit,
  earlyExitEntry,
  exiting,
  saturation,
} from "./early-exit.ts";
export type { StackParams } from "./layers.ts";
export { recomputed, recomputedEntry, recomputing } from "./recomputed.ts";
export {
  joinedStreams,
  meanOfStreams,
  type ReversibleBlock,
  type ReversibleOptions,
  reversible,
  reversibleBlock,
  reversibleEntry,
  reversing,
  type StreamMerge,
  sumOfStreams,
} from "./reversible.ts";
export {
  type SharedOptions,
  type SharedParams,
  type SharedSettings,
  shared,
  sharedEntry,
  sharing,
} from "./shared.ts";
export { blockStack, stackEntry, stacked } from "./stack.ts";
export {
  repeating,
  type UniversalOptions,
  type UniversalParams,
  type UniversalSettings,
  universal,
  universalEntry,
} from "./universal.ts";
