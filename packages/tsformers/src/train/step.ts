import {
  abs,
  add,
  type Concrete,
  cast,
  fromNumbers,
  isFloat,
  isNdArray,
  isTensor,
  less,
  mapTree,
  mul,
  NDArray,
  scan,
  type Tensor,
  type TypedArray,
  where,
} from "@tsformers/engine";
import type { Losses } from "../kinds/index.ts";
import type { LossFunction, Memories, Symbolic } from "../objectives/objective.ts";
import { present } from "../schema/present.ts";
import { type Gradients, lossAndGradients } from "./accumulate.ts";
import { clipFactor, globalNorm } from "./clip.ts";
import type { LossScale, LossScaleState } from "./loss-scale.ts";
import { followAverage } from "./moving-average.ts";
import type { Optimiser, OptimiserState } from "./optimisers/optimiser.ts";

export type StepOptions<Params, B> = {
  readonly loss: LossFunction<Params, B>;
  readonly optimiser: Optimiser;
  /** Puts parameters back where they may be, after each update. */
  readonly project?: (params: Params) => Params;
  /** What the rows remember before the first batch. Default: nothing goes from batch to batch. */
  readonly startMemories?: () => Memories;
  /** The largest global norm of the gradients; Default: they are left as they are. */
  readonly clipNorm?: number;
  /** Parts in which a batch is worked through. Default: 1. */
  readonly microBatches?: number;
  /** Decay of a moving average of the parameters. Default: none is kept. */
  readonly averageDecay?: number;
  /** Computes the loss in float16, scaled; parameters and optimiser stay in float32. */
  readonly float16?: LossScale;
};

/** Everything that goes from one update to the next. All of it stays on the device. */
export type TrainState<Params> = {
  readonly params: Params;
  readonly optimiser: OptimiserState;
  /** Updates made, int32 []. Those skipped because of an overflow do not count. */
  readonly step: Tensor;
  readonly average?: Params;
  readonly lossScale?: LossScaleState;
  /** What each row of the batch remembers of those before it. */
  readonly memories?: Memories;
};

/** What is handed in with every batch. */
export type Control = {
  /** float32 [] */
  readonly learningRate: Tensor;
  /** Of the step's dropout, int32 [2]. */
  readonly key: Tensor;
  /** Share of all updates that are made already, float32 []. Default: losses that follow a schedule are as at the beginning. */
  readonly progress?: Tensor;
};

export type StepMetrics = {
  /** Before the update, []. */
  readonly loss: Tensor;
  /** Before clipping, []. Not finite when an update was skipped. */
  readonly gradientNorm: Tensor;
  /** What the model adds to the loss, by name, []. */
  readonly losses: Losses;
};

export type TrainStep<Params, B> = {
  /** The state before the first update, which owns its arrays. Runs outside the trace. */
  init(params: Concrete<Params>): Concrete<TrainState<Params>>;
  /** One update: forward, backward, clipping, optimiser. Compile it with its first argument donated. */
  update(
    state: TrainState<Params>,
    batch: Symbolic<B>,
    control: Control,
  ): { readonly state: TrainState<Params>; readonly metrics: StepMetrics };
  /**
   * Several updates, one after the other, with the same results to the last bit. Batches, controls and metrics have a leading axis: an
   * element for each update.
   */
  updates(
    state: TrainState<Params>,
    batches: Symbolic<B>,
    controls: Control,
  ): { readonly state: TrainState<Params>; readonly metrics: StepMetrics };
  /** The gradients that `update` would use, for {@link explainNonFinite}. */
  gradients(state: TrainState<Params>, batch: Symbolic<B>, control: Control): Gradients<Params>;
};

/** A training step as one function of trees of tensors, and so as one graph. */
export function trainStep<Params, B>(options: StepOptions<Params, B>): TrainStep<Params, B> {
  const { optimiser, clipNorm, microBatches = 1, averageDecay, float16 } = options;
  if (!(Number.isInteger(microBatches) && microBatches >= 1)) {
    throw new RangeError(`trainStep: microBatches must be an integer ≥ 1, got ${microBatches}`);
  }
  const loss = float16 === undefined ? options.loss : inFloat16(options.loss);

  const slopes: TrainStep<Params, B>["gradients"] = (state, batch, { key, progress }) => {
    const { trained, trainingState } = splitState(state.params);
    const beside = { scale: state.lossScale?.factor, trainingState, memories: state.memories };
    return lossAndGradients(loss, microBatches, trained, batch, { key, ...present({ progress }) }, beside);
  };

  const update: TrainStep<Params, B>["update"] = (state, batch, control) => {
    const raw = slopes(state, batch, control);
    const gradientNorm = product(globalNorm(raw.gradients), raw.factor);
    const clipped = clipNorm === undefined ? undefined : clipFactor(gradientNorm, clipNorm);
    const factor = raw.factor === undefined ? clipped : product(raw.factor, clipped);
    const step = add(state.step, 1);
    const { learningRate } = control;
    const { trained } = splitState(state.params);
    const moved = optimiser.update(raw.gradients, state.optimiser, trained, {
      learningRate,
      step,
      gradientFactor: factor,
    });
    const updated = { ...moved, params: options.project?.(moved.params) ?? moved.params };
    const average = () => followAverage(splitState(state.average!).trained, updated.params, averageDecay!, step);
    const next = {
      params: withState(state.params, updated.params, raw.trainingState),
      optimiser: updated.state,
      step,
      ...(averageDecay !== undefined && { average: withState(state.average!, average(), raw.trainingState) }),
      ...present({ memories: raw.memories }),
    };
    const metrics = { loss: raw.loss, gradientNorm, losses: raw.losses };
    if (float16 === undefined) return { state: next, metrics };
    const finite = areFinite(gradientNorm);
    const { lossScale, ...before } = state;
    return { state: { ...selectTree(finite, next, before), lossScale: float16.update(lossScale!, finite) }, metrics };
  };

  return {
    init: (params) =>
      ({
        params: copyTree(params),
        optimiser: optimiser.init(splitState(params).trained),
        step: fromNumbers([0], [], "int32"),
        ...(averageDecay !== undefined && { average: copyTree(params) }),
        ...(float16 !== undefined && { lossScale: float16.init() }),
        ...(options.startMemories !== undefined && { memories: options.startMemories() }),
      }) as unknown as Concrete<TrainState<Params>>,
    update,
    updates: (state, batches, controls) => {
      const one = (before: TrainState<Params>, [batch, control]: readonly [Symbolic<B>, Control]) => {
        const { state: after, metrics } = update(before, batch, control);
        return [after, metrics] as const;
      };
      const [last, metrics] = scan(one, state, [batches, controls] as const, { unroll: false });
      return { state: last, metrics };
    },
    gradients: slopes,
  };
}

/** Parameters that are trained, and what a model carries from step to step beside them. */
function splitState<P>(params: P): { trained: P; trainingState?: unknown } {
  if (typeof params !== "object" || params === null || !("trainingState" in params)) return { trained: params };
  const { trainingState, ...trained } = params;
  return { trained: trained as P, trainingState };
}

/** The parameters `before` with what they are now, in the order of their keys: another order would be another signature. */
function withState<Params>(before: Params, trained: Params, trainingState: unknown): Params {
  return trainingState === undefined ? trained : { ...before, ...trained, trainingState };
}

const largestFinite = 3.4028234e38;

/** Whether numbers are neither infinite nor NaN. @shape [...] → bool [...] */
export function areFinite(x: Tensor): Tensor {
  return less(abs(x), largestFinite);
}

function inFloat16<Params, B>(loss: LossFunction<Params, B>): LossFunction<Params, B> {
  return (params, batch, context, memories) => {
    const { trained, trainingState } = splitState(params);
    const half = mapTree(trained, isTensor, (leaf) => (isFloat(leaf.dtype) ? cast(leaf, "float16") : leaf)) as Params;
    const { total, weight, ...rest } = loss(withState(params, half, trainingState), batch, context, memories);
    return { total: cast(total, "float32"), weight: cast(weight, "float32"), ...rest };
  };
}

function product(x: Tensor, factor: Tensor | undefined): Tensor {
  return factor === undefined ? x : mul(x, factor);
}

function selectTree<Tree>(condition: Tensor, yes: Tree, no: Tree): Tree {
  const others = new Map<string, Tensor>();
  mapTree(no, isTensor, (leaf, path) => others.set(path, leaf));
  return mapTree(yes, isTensor, (leaf, path) => where(condition, leaf, others.get(path)!)) as Tree;
}

/** Arrays of its own, made when they are looked at: donated buffers must not be shared. */
function copyTree<Tree>(tree: Tree): Tree {
  return mapTree(
    tree,
    isNdArray,
    (array) => new NDArray(array.shape, array.dtype, () => array.data.slice() as TypedArray),
  ) as Tree;
}
