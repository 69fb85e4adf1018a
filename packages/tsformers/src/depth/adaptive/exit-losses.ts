import {
  add,
  argmax,
  cast,
  constant,
  div,
  einsum,
  equal,
  expandDims,
  logSoftmax,
  maximum,
  mul,
  ndarray,
  neg,
  reshape,
  slice,
  stack,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  zerosLike,
} from "@tsformers/engine";

/** How the weights of exits grow with depth: all alike, `n`, or `2ⁿ`. */
export type WeightGrowth = "uniform" | "linear" | "geometric";

/**
 * Weights of the losses of exits 1 … N, which add up to 1.
 *
 * @source uniform: Elbayad et al. 2020, §3.1; linear: Schuster et al. 2022, §3.1
 */
export function exitWeights(layers: number, growth: WeightGrowth): number[] {
  const raw = Array.from({ length: layers }, (_, i) => ({ uniform: 1, linear: i + 1, geometric: 2 ** i })[growth]);
  const total = raw.reduce((a, b) => a + b, 0);
  return raw.map((weight) => weight / total);
}

/** `Σ_n ω_n·L_n / Σ_n ω_n`: losses of exits [N], with weights → []. */
export function weightedExitLoss(losses: Tensor, weights: Tensor | readonly number[]): Tensor {
  const omega = "dtype" in weights ? weights : constant(ndarray(Float32Array.from(weights)));
  return div(sum(mul(losses, omega)), sum(omega));
}

/**
 * What earlier exits add to the loss of the last: `Σ_{n<N} ω_n·L_n / ω_N`, so that the sum of both is {@link weightedExitLoss} in proportion.
 *
 * @param losses of exits 1 … N − 1, each [B, T]
 * @param counted which positions count, [B, T]
 * @param omega weights of exits 1 … N
 */
export function earlierExitLoss(losses: readonly Tensor[], counted: Tensor, omega: readonly number[]): Tensor {
  const [earlier, last] = [omega.slice(0, -1), omega.at(-1)!];
  const mean = weightedExitLoss(stack(losses.map((own) => meanOver(own, counted))), earlier);
  return mul(mean, earlier.reduce((a, b) => a + b, 0) / last);
}

/** The mean over positions that count: losses and weights [B, T] → []. */
export function meanOver(losses: Tensor, weights: Tensor): Tensor {
  return div(sum(mul(cast(losses, "float32"), weights)), maximum(sum(weights), 1e-9));
}

/** −log q(n) of the exit that an oracle names: log q [..., N], exits int [...] → [...]. */
export function exitCrossEntropy(logDistribution: Tensor, exits: Tensor): Tensor {
  return neg(reshape(takeAlongAxis(logDistribution, expandDims(exits, -1), -1), exits.shape));
}

/** 1 at each position where an exit writes what the last layer writes: logits N × [B, T, V] → [N − 1, B, T]. */
export function agreesWithLast(logits: readonly Tensor[]): Tensor {
  const last = argmax(logits.at(-1)!);
  return stack(logits.slice(0, -1).map((own) => cast(equal(argmax(own), last), "float32")));
}

/**
 * Trains the classifier that says after each layer whether its prediction will stay: binary cross-entropy, in which both answers of each layer
 * weigh as much, however rare one of them is.
 *
 * @shape  scores (logits) and labels [N − 1, B, T], weights [B, T] → []
 * @source Schuster et al. 2022, §3.4, "early-exit classifier"; the balance is that of the authors' code
 */
export function consistencyLoss(scores: Tensor, labels: Tensor, weights: Tensor): Tensor {
  const both = logSoftmax(stack([scores, zerosLike(scores)], -1));
  const of = (answer: number, counted: Tensor): Tensor => {
    const losses = neg(reshape(slice(both, -1, answer, answer + 1), scores.shape));
    const own = mul(counted, weights);
    const [total, weight] = [einsum("nbt->n", mul(losses, own)), einsum("nbt->n", own)];
    return div(total, maximum(weight, 1));
  };
  const layers = add(of(0, labels), of(1, sub(1, labels)));
  return div(sum(layers), 2 * scores.shape[0]!);
}
