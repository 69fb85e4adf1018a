import {
  add,
  concat,
  equal,
  expandDims,
  iota,
  log,
  logSoftmax,
  logSumExp,
  mul,
  reshape,
  scatterAdd,
  softmax,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";

/** What a search found for N positions: the k nearest keys of each, and the token that followed each key. */
export type NeighbourTensors = {
  /** float32 [N, k] */
  readonly squaredDistances: Tensor;
  /** int32 [N, k] */
  readonly values: Tensor;
};

/** The logarithm of a probability that is 0. */
export const absent = -10_000;

/**
 * The distribution of the tokens that followed the nearest keys: `p(y) = Σ_{i: w_i = y} softmax_i(−d_i / τ)`, d being squared distances.
 *
 * @param options.temperature τ. Default: 1
 * @shape  [N, k] → [N, V]
 * @source Khandelwal et al. 2020, "Generalization through Memorization: Nearest Neighbor Language Models", §2, arXiv:1911.00172
 */
export function neighbourProbabilities(
  { squaredDistances, values }: NeighbourTensors,
  options: { readonly vocabularySize: number; readonly temperature?: number },
): Tensor {
  const { vocabularySize, temperature = 1 } = options;
  const [rows, k] = values.shape as [number, number];
  const weights = softmax(mul(squaredDistances, -1 / temperature));
  const places = add(values, mul(expandDims(iota(rows), -1), vocabularySize));
  const sums = scatterAdd(zeros([rows * vocabularySize]), reshape(places, [rows * k]), reshape(weights, [rows * k]));
  return reshape(sums, [rows, vocabularySize]);
}

/**
 * The logarithm of {@link neighbourProbabilities} at one token of each position, {@link absent} where no neighbour has it.
 *
 * @shape  neighbours [N, k], targets int32 [N] → [N]
 */
export function neighbourLogProbabilities(
  { squaredDistances, values }: NeighbourTensors,
  targets: Tensor,
  temperature = 1,
): Tensor {
  const shares = logSoftmax(mul(squaredDistances, -1 / temperature));
  const found = equal(values, expandDims(targets, -1));
  return logSumExp(add(shares, where(found, 0, absent)), { axes: -1 });
}

/** The logarithm of probabilities, {@link absent} where they are 0. */
export function logOrAbsent(probabilities: Tensor): Tensor {
  const none = equal(probabilities, 0);
  return where(none, absent, log(where(none, 1, probabilities)));
}

/**
 * The mixture of a model and its neighbours, in logarithms: `log((1 − λ)·p_LM + λ·p_kNN)`.
 *
 * @shape  model, neighbours [...], logarithms of probabilities of the same tokens → [...]
 * @throws RangeError when λ is not between 0 and 1
 */
export function mixedLogProbabilities(model: Tensor, neighbours: Tensor, lambda: number): Tensor {
  requireShare(lambda);
  const parts = [add(model, Math.log1p(-lambda)), add(neighbours, Math.log(lambda))];
  return logSumExp(
    concat(
      parts.map((part) => expandDims(part, -1)),
      -1,
    ),
    { axes: -1 },
  );
}

/** @throws RangeError when λ is not between 0 and 1 */
export function requireShare(lambda: number): void {
  if (!(lambda > 0 && lambda < 1)) throw new RangeError(`lambda: expected a number between 0 and 1, got ${lambda}`);
}
