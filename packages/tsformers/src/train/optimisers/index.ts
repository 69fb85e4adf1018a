// How gradients change parameters: one line for each optimiser.

export { type AdafactorOptions, type AdafactorSettings, adafactor, adafactorEntry } from "./adafactor.ts";
export { type AdamWOptions, type AdamWSettings, adamw, adamwEntry } from "./adamw.ts";
export { type LionOptions, type LionSettings, lion, lionEntry } from "./lion.ts";
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
export type { OptimiserEntry } from "./optimiser-entry.ts";
export { type SgdOptions, type SgdSettings, sgd, sgdEntry } from "./sgd.ts";
