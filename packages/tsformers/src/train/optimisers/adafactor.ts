import {
  add,
  cast,
  div,
  full,
  maximum,
  mean,
  mul,
  pow,
  reshape,
  sqrt,
  square,
  sub,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { present } from "../../schema/present.ts";
import {
  type Decays,
  matricesDecay,
  type Optimiser,
  perParameter,
  requireNonNegative,
  type Slots,
  zerosLike,
} from "./optimiser.ts";
import { type OptimiserEntry, optimiserEntry, weightDecayOption } from "./optimiser-entry.ts";

export type AdafactorOptions = {
  /** ε₁, added to squared gradients. Default: 1e-30. */
  readonly epsilon?: number;
  /** d, the largest root mean square of an update before it is multiplied by the rate. Default: 1. */
  readonly clipThreshold?: number;
  /** c of `β₂(t) = 1 − t^(−c)`. Default: 0.8. */
  readonly decayExponent?: number;
  /** ε₂: makes rates relative to the size of the parameter, `η · max(ε₂, rms(w))`. Default: rates are absolute. */
  readonly relativeFloor?: number;
  /** λ. Default: 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: {@link matricesDecay}. */
  readonly decays?: Decays;
};

const defaults = { weightDecay: 0 };

/**
 * Adafactor: Adam without momentum whose second moment of a matrix is kept as one row and one column:
 * `V[i,j] ≈ row[i] · column[j] / mean(row)`, `u = g / √V`, `w ← (1 − ηλ)w − η · u / max(1, rms(u) / d)`.
 *
 * Arrays of three or more axes are stacks of matrices over their last two; vectors keep their whole second moment.
 *
 * @source Shazeer & Stern 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", Algorithms 4 and 5,
 *   arXiv:1804.04235
 * @differs the rate comes from the schedule, not from `1/√t`
 */
export function adafactor(options: AdafactorOptions = {}): Optimiser {
  const { epsilon = 1e-30, clipThreshold = 1, decayExponent = 0.8, decays = matricesDecay } = options;
  const { weightDecay = defaults.weightDecay, relativeFloor } = options;
  requireNonNegative("adafactor", "epsilon", epsilon);
  requireNonNegative("adafactor", "decayExponent", decayExponent);
  requireNonNegative("adafactor", "weightDecay", weightDecay);
  if (!(clipThreshold > 0)) throw new RangeError(`adafactor: clipThreshold must be > 0, got ${clipThreshold}`);
  return perParameter({
    name: "adafactor",
    settings: {
      epsilon,
      clipThreshold,
      decayExponent,
      weightDecay,
      ...present({ relativeFloor }),
    },
    decays: (path, shape) => weightDecay > 0 && decays(path, shape),
    elementwise: false,
    slots: (type) => {
      if (type.shape.length < 2) return { square: zerosLike(type) };
      const { shape, dtype } = type;
      const row = full(shape.slice(0, -1), 0, dtype);
      return { row, column: full([...shape.slice(0, -2), shape.at(-1)!], 0, dtype) };
    },
    begin: ({ learningRate, step }) => {
      const fresh = pow(cast(step, "float32"), -decayExponent);
      const follow = (old: Tensor, now: Tensor) => add(old, mul(sub(now, old), fresh));
      return ({ parameter, gradient, slots, decayed }) => {
        const { direction, next } = precondition(gradient, slots, epsilon, follow);
        const size = rootMeanSquare(direction);
        const rate =
          relativeFloor === undefined
            ? learningRate
            : mul(learningRate, maximum(rootMeanSquare(parameter), relativeFloor));
        const change = mul(direction, div(rate, maximum(mul(size, 1 / clipThreshold), 1)));
        const kept = decayed ? mul(parameter, sub(1, mul(rate, weightDecay))) : parameter;
        return { parameter: sub(kept, change), slots: next };
      };
    },
  });
}

/** `g / √V`, and the updated moments. */
function precondition(
  gradient: Tensor,
  slots: Slots,
  epsilon: number,
  follow: (old: Tensor, now: Tensor) => Tensor,
): { direction: Tensor; next: Slots } {
  const squares = add(square(gradient), epsilon);
  if (slots.row === undefined) {
    const moment = follow(slots.square!, squares);
    return { direction: div(gradient, sqrt(moment)), next: { square: moment } };
  }
  const row = follow(slots.row, mean(squares, { axes: -1 }));
  const column = follow(slots.column!, mean(squares, { axes: -2 }));
  const rowFactor = sqrt(div(row, mean(row, { axes: -1, keepDims: true })));
  const across = div(gradient, reshape(rowFactor, [...row.shape, 1]));
  const direction = div(across, reshape(sqrt(column), [...column.shape.slice(0, -1), 1, column.shape.at(-1)!]));
  return { direction, next: { row, column } };
}

function rootMeanSquare(x: Tensor): Tensor {
  return sqrt(mean(square(x)));
}

export type AdafactorSettings = Pick<AdafactorOptions, "weightDecay">;

export const adafactorEntry: OptimiserEntry<"adafactor", AdafactorSettings> = /* @__PURE__ */ optimiserEntry({
  name: "adafactor",
  title: "Adafactor",
  year: 2018,
  paper: "Shazeer & Stern 2018, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, arXiv:1804.04235",
  summary: "Adam's second moment kept as a row and a column",
  formula: "V[i,j] ≈ row[i]·column[j]/mean(row), w ← w − η·g/√V",
  cost: "rows + columns numbers for each matrix",
  options: () => z.strictObject({ weightDecay: weightDecayOption(defaults.weightDecay) }),
  make: adafactor,
});
