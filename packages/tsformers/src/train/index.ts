// Training: optimisers, schedules, one step, and the whole of it. What writes files is in `tsformers/node`.

export { suitableMicroBatches } from "./accumulate.ts";
export {
  type AuxiliaryLossInput,
  type AuxiliaryLossOptions,
  auxiliaryLosses,
  layersOn,
} from "./auxiliary-losses.ts";
export { type EarlyStopping, type EarlyStoppingState, earlyStopping } from "./early-stopping.ts";
export { type Evaluator, evaluator } from "./evaluate.ts";
export { type LossScale, type LossScaleOptions, type LossScaleState, lossScale } from "./loss-scale.ts";
export { estimateMemory, MemoryError, type MemoryEstimate, memoryText } from "./memory.ts";
export { NonFiniteError } from "./non-finite.ts";
export * from "./optimisers/index.ts";
export * from "./schedules/index.ts";
export {
  type Control,
  type StepMetrics,
  type StepOptions,
  type TrainState,
  type TrainStep,
  trainStep,
} from "./step.ts";
export { train } from "./train.ts";
export type { Progress, TrainEvent, TrainOptions, TrainResult } from "./train-options.ts";
