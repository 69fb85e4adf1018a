// Training: optimisers, schedules, one step, and the whole of it. What writes files is in `tsformers/node`.

export { suitableMicroBatches } from "./accumulate.ts";
export { type AdafactorOptions, adafactor } from "./adafactor.ts";
export { type AdamWOptions, adamw } from "./adamw.ts";
export {
  type AuxiliaryLossInput,
  type AuxiliaryLossOptions,
  auxiliaryLosses,
  layersOn,
} from "./auxiliary-losses.ts";
export { type EarlyStopping, type EarlyStoppingState, earlyStopping } from "./early-stopping.ts";
export { type Evaluator, evaluator } from "./evaluate.ts";
export { type LionOptions, lion } from "./lion.ts";
export { type LossScale, type LossScaleOptions, type LossScaleState, lossScale } from "./loss-scale.ts";
export { estimateMemory, MemoryError, type MemoryEstimate, memoryText } from "./memory.ts";
export { NonFiniteError } from "./non-finite.ts";
export {
  type Decays,
  matricesDecay,
  type Optimiser,
  type OptimiserState,
  type Pace,
  perParameter,
  type Rule,
  type UpdateInput,
} from "./optimiser.ts";
export { constantRate, inverseSquareRoot, type Schedule, warmupCosine } from "./schedule.ts";
export { type SgdOptions, sgd } from "./sgd.ts";
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
