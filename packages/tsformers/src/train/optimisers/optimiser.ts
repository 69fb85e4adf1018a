import {
  type DType,
  flatten,
  full,
  isFloat,
  isNdArray,
  isTensor,
  type NDArray,
  type Shape,
  type Tensor,
  unflatten,
} from "@tsformers/engine";

/** State of an optimiser for one parameter, by name. */
export type Slots<Leaf = Tensor> = Readonly<Record<string, Leaf>>;

/** The slots of every parameter that has any, by the parameter's path. */
export type OptimiserState<Leaf = Tensor> = Readonly<Record<string, Slots<Leaf>>>;

/** Inputs of each update: the rate η (float32 scalar) and the number t of the update, from 1 (int32 scalar). */
export type Pace = { readonly learningRate: Tensor; readonly step: Tensor };

/** How gradients change parameters. `init` runs outside the trace, `update` inside it. */
export type Optimiser = {
  readonly name: string;
  /** Equal for equal rules and settings: a run may only be resumed with the same optimiser. */
  readonly fingerprint: string;
  /** @param params a tree of concrete arrays */
  init(params: unknown): OptimiserState<NDArray>;
  update<Params>(
    gradients: Params,
    state: OptimiserState,
    params: Params,
    pace: Pace,
  ): { readonly params: Params; readonly state: OptimiserState };
};

/** Whether weight decay applies to a parameter. */
export type Decays = (path: string, shape: Shape) => boolean;

/** Matrices decay; biases and gains, which have one axis, do not. */
export const matricesDecay: Decays = (_, shape) => shape.length >= 2;

/** Shape and dtype of an array. */
export type ArrayType = { readonly shape: Shape; readonly dtype: DType };

/** One parameter in an update. */
export type UpdateInput = {
  readonly path: string;
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly slots: Slots;
};

/** The update rule of an optimiser that treats every parameter separately. */
export type Rule = {
  readonly name: string;
  readonly settings: Readonly<Record<string, number>>;
  /** The initial slots of a parameter. */
  slots(type: ArrayType): Slots<NDArray>;
  /** Computes the scalars that all parameters share, and returns the update of one parameter. */
  begin(pace: Pace): (input: UpdateInput) => { readonly parameter: Tensor; readonly slots: Slots };
};

/** Applies a rule to every float array of a tree; other leaves are unchanged. */
export function perParameter({ name, settings, slots, begin }: Rule): Optimiser {
  const values = Object.entries(settings).map(([setting, value]) => `${setting}=${value}`);
  return {
    name,
    fingerprint: [name, ...values].join(" "),
    init: (params) => {
      const { leaves, paths } = flatten(params, isNdArray);
      const entries = leaves.map((leaf, i) => [paths[i]!, isFloat(leaf.dtype) ? slots(leaf) : {}] as const);
      return Object.fromEntries(entries.filter(([, kept]) => Object.keys(kept).length > 0));
    },
    update: (gradients, state, params, pace) => {
      const { leaves, paths, structure } = flatten(params, isTensor);
      const slopes = flatten(gradients, isTensor).leaves;
      if (slopes.length !== leaves.length) {
        throw new RangeError(
          `${name}: expected ${leaves.length} gradients, one for each parameter, got ${slopes.length}`,
        );
      }
      const updateOne = begin(pace);
      const next: Record<string, Slots> = {};
      const updated = leaves.map((parameter, i) => {
        const path = paths[i]!;
        if (!isFloat(parameter.dtype)) return parameter;
        const result = updateOne({ path, parameter, gradient: slopes[i]!, slots: state[path] ?? {} });
        if (state[path] !== undefined) next[path] = result.slots;
        return result.parameter;
      });
      return { params: unflatten(structure, updated) as typeof params, state: next };
    },
  };
}

/** A slot of zeros with the parameter's shape. */
export function zerosLike({ shape, dtype }: ArrayType): NDArray {
  return full(shape, 0, dtype);
}

/** @throws RangeError when `value` is not in [0, 1) */
export function requireFraction(caller: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw new RangeError(`${caller}: ${name} must be ≥ 0 and < 1, got ${value}`);
}

/** @throws RangeError when `value` is negative or not finite */
export function requireNonNegative(caller: string, name: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) {
    throw new RangeError(`${caller}: ${name} must be a finite number ≥ 0, got ${value}`);
  }
}
