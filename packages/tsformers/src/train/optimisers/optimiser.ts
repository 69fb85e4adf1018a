import {
  type DType,
  flatten,
  full,
  isFloat,
  isNdArray,
  isTensor,
  mul,
  type NDArray,
  type Shape,
  type Tensor,
  unflatten,
} from "@tsformers/engine";
import { isSmall, joinRows, rowType, splitRows } from "../small-arrays.ts";

/** State of an optimiser for one parameter, by name. */
export type Slots<Leaf = Tensor> = Readonly<Record<string, Leaf>>;

/** The slots of every parameter that has any, by the parameter's path. */
export type OptimiserState<Leaf = Tensor> = Readonly<Record<string, Slots<Leaf>>>;

/** Scalars of each update. */
export type Pace = {
  /** η, float32. */
  readonly learningRate: Tensor;
  /** The number t of the update, from 1, int32. */
  readonly step: Tensor;
  /** What the gradients must be multiplied by first (clipping, the scale of a loss in float16), float32. Default: 1. */
  readonly gradientFactor?: Tensor | undefined;
};

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

/** One parameter in an update, or the rows of several small ones. */
export type UpdateInput = {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly slots: Slots;
  /** Whether weight decay applies. */
  readonly decayed: boolean;
};

export type UpdateResult = { readonly parameter: Tensor; readonly slots: Slots };

/** The update rule of an optimiser that treats every parameter separately. */
export type Rule = {
  readonly name: string;
  readonly settings: Readonly<Record<string, number>>;
  readonly decays: Decays;
  /** Whether each number is updated by itself, whatever array it is in; small parameters are then updated as one. */
  readonly elementwise: boolean;
  /** The initial slots of a parameter. */
  slots(type: ArrayType): Slots<NDArray>;
  /** Computes the scalars that all parameters share, and returns the update of one parameter. */
  begin(pace: Pace): (input: UpdateInput) => UpdateResult;
};

/** Applies a rule to every float array of a tree; other leaves are unchanged. */
export function perParameter(rule: Rule): Optimiser {
  const { name, settings, slots, begin } = rule;
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
      const scaled = (input: UpdateInput): UpdateInput =>
        pace.gradientFactor === undefined ? input : { ...input, gradient: mul(input.gradient, pace.gradientFactor) };
      const updated = [...leaves];
      const next: Record<string, Slots> = {};
      for (const group of groupsOf(leaves, paths, rule)) {
        const inputs = group.map((i) => ({
          parameter: leaves[i]!,
          gradient: slopes[i]!,
          slots: state[paths[i]!] ?? {},
          decayed: rule.decays(paths[i]!, leaves[i]!.shape),
        }));
        const results =
          inputs.length === 1 ? [updateOne(scaled(inputs[0]!))] : together(inputs, (all) => updateOne(scaled(all)));
        for (const [at, result] of results.entries()) {
          const i = group[at]!;
          updated[i] = result.parameter;
          if (state[paths[i]!] !== undefined) next[paths[i]!] = result.slots;
        }
      }
      const inOrder = Object.fromEntries(Object.keys(state).map((path) => [path, next[path]!] as const));
      return { params: unflatten(structure, updated) as typeof params, state: inOrder };
    },
  };
}

/** The parameters that are updated at once, by index: most by themselves. */
function groupsOf(leaves: readonly Tensor[], paths: readonly string[], { elementwise, decays }: Rule): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, leaf] of leaves.entries()) {
    if (!isFloat(leaf.dtype)) continue;
    const key = elementwise && isSmall(leaf) ? `${rowType(leaf)} ${decays(paths[i]!, leaf.shape)}` : paths[i]!;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()];
}

/** Updates several parameters whose rows have one type as one array. */
function together(inputs: readonly UpdateInput[], update: (all: UpdateInput) => UpdateResult): UpdateResult[] {
  const shapes = inputs.map(({ parameter }) => parameter.shape);
  const join = (read: (input: UpdateInput) => Tensor) => joinRows(inputs.map(read));
  const { slots, decayed } = inputs[0]!;
  const result = update({
    parameter: join(({ parameter }) => parameter),
    gradient: join(({ gradient }) => gradient),
    slots: mapSlots(slots, (_, name) => join((input) => input.slots[name]!)),
    decayed,
  });
  const parameters = splitRows(result.parameter, shapes);
  const parts = mapSlots(result.slots, (slot) => splitRows(slot, shapes));
  return parameters.map((parameter, i) => ({ parameter, slots: mapSlots(parts, (part) => part[i]!) }));
}

function mapSlots<A, B>(slots: Readonly<Record<string, A>>, to: (slot: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, to(slot, name)]));
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
