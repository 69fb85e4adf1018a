// How blocks follow one another.

export { leakyAverage, type StateUpdate, weightedSum } from "./act.ts";
export {
  type AdaptiveOptions,
  type AdaptiveParams,
  adaptiveDepth,
  type ExitPlace,
  type ExitRule,
} from "./adaptive/adaptive-depth.ts";
export { type ExitClassifier, geometricExits, multinomialExits } from "./adaptive/exit-classifiers.ts";
export {
  type Confidence,
  confident,
  decayingThreshold,
  type ExitThreshold,
  largestProbability,
  saturation,
  softmaxResponse,
  type ThresholdDecay,
} from "./adaptive/exit-rules.ts";
export {
  hoeffdingBentkus,
  learnThenTest,
  type RiskBound,
  type TestedThresholds,
} from "./adaptive/learn-then-test.ts";
export type { DepthEntry, DepthMaker } from "./depth-entry.ts";
export {
  type EarlyExitOptions,
  type EarlyExitSettings,
  earlyExit,
  earlyExitEntry,
  exiting,
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
