import {
  add,
  cast,
  customGradient,
  div,
  exp,
  expandDims,
  logSoftmax,
  maximum,
  mean,
  mul,
  neg,
  notEqual,
  reshape,
  scatterAlongAxis,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
} from "@tsformers/engine";

/**
 * −log p(target) at every position, in float32.
 *
 * Label smoothing ε (`smoothing`, default 0) moves that share of the target's weight to the uniform distribution over the V
 * symbols: `(1 − ε)·(−log p(target)) + ε·mean(−log p)`.
 *
 * The gradient with respect to the logits is written by hand, `softmax − (1 − ε)·onehot(target) − ε/V`: only the log-probabilities
 * are kept for it, and it takes three passes over them.
 *
 * @shape  logits [..., V], targets int [...] → [...]
 * @throws RangeError when smoothing is not in [0, 1)
 * @source smoothing: Szegedy et al. 2016, arXiv:1512.00567, §7
 */
export function crossEntropies(logits: Tensor, targets: Tensor, options: { readonly smoothing?: number } = {}): Tensor {
  const { smoothing = 0 } = options;
  if (!(smoothing >= 0 && smoothing < 1)) {
    throw new RangeError(`crossEntropies: smoothing must be ≥ 0 and < 1, got ${smoothing} for ${logits}`);
  }
  const [losses] = customGradient({
    forward: (x, at) => {
      const logProbabilities = logSoftmax(x!);
      const chosen = neg(reshape(takeAlongAxis(logProbabilities, expandDims(at!, -1)), at!.shape));
      if (smoothing === 0) return [chosen, logProbabilities];
      const uniform = neg(mean(logProbabilities, { axes: -1 }));
      return [add(mul(chosen, 1 - smoothing), mul(uniform, smoothing)), logProbabilities];
    },
    backward: ({ inputs: [x, at], outputs: [, logProbabilities], cotangents: [dy] }) => {
      if (dy === undefined) return [];
      const incoming = expandDims(dy, -1);
      const probabilities = exp(logProbabilities!);
      const spread = smoothing === 0 ? probabilities : sub(probabilities, smoothing / x!.shape.at(-1)!);
      return [scatterAlongAxis(mul(spread, incoming), expandDims(at!, -1), mul(incoming, smoothing - 1))];
    },
  })(cast(logits, "float32"), targets);
  return losses!;
}

/**
 * The mean of −log p(target) over the positions whose target is not `ignored`; 0 if there are none. Default of `ignored`: −100.
 *
 * @shape  logits [..., V], targets int [...] → scalar
 */
export function meanCrossEntropy(logits: Tensor, targets: Tensor, ignored = -100): Tensor {
  const counted = cast(notEqual(targets, ignored), "float32");
  const losses = crossEntropies(logits, maximum(targets, 0));
  return weightedMean(losses, counted);
}

/** `Σ w·x / max(Σ w, 1)`: 0 where nothing counts. @shape values, weights [...] → scalar */
export function weightedMean(values: Tensor, weights: Tensor): Tensor {
  return div(sum(mul(values, weights)), maximum(sum(weights), 1));
}
