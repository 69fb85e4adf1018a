import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";

/**
 * Two pure functions over one tree of parameters. `init` runs outside the trace and gives concrete arrays; `apply` runs
 * inside it. The paths of the tree are the names in a checkpoint. State goes in and comes out; nothing is hidden.
 */
export type Layer<Params, Args extends readonly unknown[] = [x: Tensor], Result = Tensor> = {
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, ...args: Args): Result;
};

/** What a forward pass depends on besides parameters and inputs. */
export type Context = {
  /** Key of this pass's dropout, int32 [2]. Absent in evaluation: then nothing is dropped. */
  readonly key?: Tensor;
  /** Share of the training that is done, float32 [], for losses that follow a schedule. Default: 0, the beginning. */
  readonly progress?: Tensor;
};

/** Evaluation: no dropout. */
export const evaluation: Context = {};

/** Scalars to add to the training loss, by name, each with its weight included: `{ commitment, ponder, span }`. */
export type Losses = Readonly<Record<string, Tensor>>;
