import type { Concrete, NDArray, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, Losses, StackState } from "../kinds/index.ts";
import type { SpanParams } from "../models/language-model.ts";
import { present } from "../schema/present.ts";
import type { EvalTotals } from "../tasks/metric.ts";

/** The counterpart of a batch inside the trace. */
export type Symbolic<B> = {
  readonly [K in keyof B]: Exclude<B[K], undefined> extends NDArray ? Tensor : Symbolic<B[K]>;
};

/** What each row remembers of earlier batches, layer by layer; absent where no layer remembers anything. */
export type Memories = readonly unknown[];

/** A loss as a sum and the weight that it is divided by, so that parts of a batch add up. */
export type WeightedLoss = {
  /** float32 [] */
  readonly total: Tensor;
  /** float32 [] */
  readonly weight: Tensor;
  /** What the model wants added, by name; each counts once, however large the batch. */
  readonly losses?: Losses;
  /** What `params.trainingState` becomes. */
  readonly trainingState?: unknown;
  /** What the rows remember afterwards. */
  readonly memories?: Memories;
};

/** What a loss is computed by. Memories go in where they are kept. */
export type LossFunction<Params, B> = (
  params: Params,
  batch: Symbolic<B>,
  context: Context,
  memories?: Memories,
) => WeightedLoss;

/** {@link EvalTotals} of one batch, inside the trace. */
export type BatchTotals = { readonly [K in keyof EvalTotals]: Tensor };

/** A model together with what it is trained for. `init` and `startMemories` run outside the trace, the others inside it. */
export type Objective<Params = unknown, B = unknown> = {
  init(key: RandomKey): Concrete<Params>;
  loss(params: Params, batch: Symbolic<B>, context: Context, memories?: Memories): WeightedLoss;
  /** Without dropout and smoothing. */
  totals(
    params: Params,
    batch: Symbolic<B>,
    memories?: Memories,
  ): { readonly totals: BatchTotals; readonly memories?: Memories };
  /** Empty memories of `batch` rows. Absent: nothing goes from batch to batch. */
  startMemories?(batch: number): Memories;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
  /** How far back each head of each layer of the model sees. Absent: its parameters set no end. */
  spans?(params: SpanParams): readonly (readonly number[])[];
  /** The objective for parameters with these spans: equal losses, without computing keys that no head sees. Present with `spans`. */
  trimmed?(spans: readonly (readonly number[])[]): Objective<Params, B>;
};

/** What a model gives out that an objective hands on. */
export function besideLoss({ losses, state }: { readonly losses: Losses; readonly state: StackState }): {
  losses: Losses;
  trainingState?: unknown;
  memories?: Memories;
} {
  return {
    losses,
    ...present({ trainingState: state.training, memories: state.segment }),
  };
}
