import {
  add,
  argmax,
  type Concrete,
  cumsum,
  einsum,
  full,
  lessEqual,
  logSoftmax,
  mul,
  normal,
  pad,
  type RandomKey,
  reshape,
  sigmoid,
  slice,
  stack,
  sum,
  type Tensor,
  zerosLike,
} from "@tsformers/engine";
import { type LinearParams, linear } from "../../nn/linear.ts";
import type { ExitRule } from "./adaptive-depth.ts";
import { confident, type ExitThreshold } from "./exit-rules.ts";

/** Predicts where a position should leave, from states after layers 1 … N, and takes positions out accordingly. */
export type ExitClassifier<Params = unknown> = Required<ExitRule<Params>> & {
  /** log q_t(n), that position t should leave after layer n: states N × [B, T, C] → [B, T, N]. */
  logDistribution(params: Params, states: readonly Tensor[]): Tensor;
};

/**
 * The exit is foretold after the first layer: `q_t = softmax(W·h¹_t + b)`; positions leave after the most likely layer.
 *
 * @shape  W [C, N], b [N]
 * @source Elbayad et al. 2020, §4.2, arXiv:1910.10073
 */
export function multinomialExits(modelWidth: number, layers: number): ExitClassifier<LinearParams> {
  const toScores = linear(modelWidth, layers);
  return {
    init: (key) => toScores.init(key),
    logDistribution: (params, [first]) => logSoftmax(toScores.apply(params, first!)),
    leaves: (params, { first, layer }) => lessEqual(argmax(toScores.apply(params, first)), layer - 1),
  };
}

/** A weight vector and a bias for each exit but the last: [N − 1, C] and [N − 1]. */
export type GeometricParams = { weight: Tensor; bias: Tensor };

/**
 * After each layer: leave now, or go on? `X^n_t = σ(w_n·h^n_t + b_n)`, so that `q_t(n) = X^n·Π_{m<n}(1 − X^m)` and
 * `q_t(N) = Π(1 − X^m)`; positions leave where X^n reaches its threshold.
 *
 * @param threshold of X^n, one for all layers or one for each but the last. Default: 0.5
 * @source Elbayad et al. 2020, §4.2, "geometric-like"
 */
export function geometricExits(
  modelWidth: number,
  layers: number,
  threshold: ExitThreshold = 0.5,
): ExitClassifier<GeometricParams> {
  const chance = ({ weight, bias }: GeometricParams, layer: number, state: Tensor): Tensor => {
    const [w, b] = [slice(weight, 0, layer - 1, layer), slice(bias, 0, layer - 1, layer)];
    return sigmoid(add(sum(mul(state, w), { axes: -1 }), b));
  };
  const init = (key: RandomKey): Concrete<GeometricParams> => ({
    weight: normal(key, [layers - 1, modelWidth], { deviation: 0.02 }),
    bias: full([layers - 1], 0),
  });
  return {
    init,
    logDistribution: ({ weight, bias }, states) => {
      const scores = add(einsum("nbtc,nc->btn", stack(states.slice(0, -1)), weight), bias);
      // log X and log(1 − X), without overflow.
      const both = logSoftmax(stack([scores, zerosLike(scores)], -1));
      const [leaves, stays] = [0, 1].map((i) => reshape(slice(both, -1, i, i + 1), scores.shape));
      const last = [
        [0, 0],
        [0, 0],
        [0, 1],
      ] as const;
      return add(pad(leaves!, last), cumsum(pad(stays!, last), -1, { exclusive: true }));
    },
    leaves: confident<GeometricParams>(({ layer, after }, params) => chance(params, layer, after), threshold).leaves,
  };
}
