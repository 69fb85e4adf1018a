// Training: optimisers, schedules, one step, and the whole of it. What writes files is in `tsformers/node`.

export { suitableMicroBatches } from "./accumulate.ts";
export { type EarlyStopping, type EarlyStoppingState, earlyStopping } from "./early-stopping.ts";
export { type Evaluator, evaluator } from "./evaluate.ts";
export { type DepthScore, evaluateDepth } from "./evaluate-depth.ts";
export { programFlops } from "./flops.ts";
export { type LossScale, type LossScaleOptions, type LossScaleState, lossScale } from "./loss-scale.ts";
export { estimateMemory, MemoryError, type MemoryEstimate, memoryText } from "./memory.ts";
export { type CutStep, fastestCut, microBatchCandidates, type Timer, timeCuts } from "./micro-batch-trial.ts";
export { NonFiniteError } from "./non-finite.ts";
export {
  type AdafactorOptions,
  type AdafactorSettings,
  type AdamWOptions,
  type AdamWSettings,
  adafactor,
  adafactorEntry,
  adamw,
  adamwEntry,
  type LionOptions,
  type LionSettings,
  lion,
  lionEntry,
  type Optimiser,
  type OptimiserEntry,
  type OptimiserState,
  type SgdOptions,
  type SgdSettings,
  sgd,
  sgdEntry,
} from "./optimisers/index.ts";
export {
  type Decays,
  matricesDecay,
  type Pace,
  perParameter,
  type Rule,
  type UpdateInput,
  type UpdateResult,
} from "./optimisers/optimiser.ts";
export {
  type CosineSettings,
  constantEntry,
  constantRate,
  cosineEntry,
  inverseSquareRoot,
  type NoamSettings,
  noamEntry,
  type Schedule,
  type ScheduleContext,
  type ScheduleEntry,
  warmupCosine,
} from "./schedules/index.ts";
export {
  type Control,
  type StepMetrics,
  type StepOptions,
  type TrainState,
  type TrainStep,
  trainStep,
} from "./step.ts";
export { stackTrees } from "./steps-per-run.ts";
export { train } from "./train.ts";
export type { Progress, TrainEvent, TrainOptions, TrainResult } from "./train-options.ts";
