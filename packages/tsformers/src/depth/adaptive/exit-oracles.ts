import {
  add,
  argmax,
  cast,
  constant,
  equal,
  iota,
  matmul,
  mul,
  ndarray,
  neg,
  reshape,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { crossEntropies } from "../../nn/cross-entropy.ts";

/** How good each exit is at each position: the larger, the better; logits [..., V], targets int [...] → [...]. */
export type ExitScore = (logits: Tensor, targets: Tensor) => Tensor;

/** `LL = log p(target)`. */
export const likelihood: ExitScore = (logits, targets) => neg(crossEntropies(logits, targets));

/** 1 where the most likely token is the target, otherwise 0. */
export const correctness: ExitScore = (logits, targets) => cast(equal(argmax(logits), targets), "float32");

export type OracleOptions = {
  /** σ, how far neighbours count: with `exp(−|t − t′|² / σ)`. 0: a position counts alone. */
  readonly smoothing: number;
  /** λ, what each layer costs. */
  readonly layerCost: number;
};

/**
 * What each exit is worth at each position: its own score and those of its neighbours, less the cost of its layers.
 *
 * `worth^n_t = Σ_t′ κ(t, t′)·score^n_t′ − λ·n`, n = 1 … N, with `κ = exp(−|t − t′|² / σ)`.
 *
 * @shape  scores [N, ..., T] → [N, ..., T]
 * @source Elbayad et al. 2020, "Depth-Adaptive Transformer", §4.2, arXiv:1910.10073
 */
export function exitWorth(scores: Tensor, { smoothing, layerCost }: OracleOptions): Tensor {
  const smooth = smoothing === 0 ? scores : matmul(scores, kernel(scores.shape.at(-1)!, smoothing));
  const layers = scores.shape[0]!;
  const cost = mul(add(iota(layers, 0, "float32"), 1), layerCost);
  return sub(smooth, reshape(cost, [layers, ...scores.shape.slice(1).map(() => 1)]));
}

/** The exit that is worth most at each position, 0 being the first: [N, ...] → int32 [...]. */
export function oracleExits(worth: Tensor): Tensor {
  return argmax(worth, 0);
}

/** The exit that is worth most for all positions of a row together: scores [N, ..., T] → int32 [...]. */
export function oracleExitOfRows(scores: Tensor, { layerCost }: Pick<OracleOptions, "layerCost">): Tensor {
  return oracleExits(exitWorth(sum(scores, { axes: -1 }), { smoothing: 0, layerCost }));
}

function kernel(length: number, smoothing: number): Tensor {
  const weights = Array.from({ length: length * length }, (_, i) => {
    const distance = Math.floor(i / length) - (i % length);
    return Math.exp(-(distance * distance) / smoothing);
  });
  return constant(ndarray(Float32Array.from(weights), [length, length]));
}
