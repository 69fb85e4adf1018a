import {
  add, cast, div, expandDims, logSoftmax, maximum, mean, mul, neg, notEqual, reshape, sum, takeAlongAxis, type Tensor,
} from "@tsformers/engine";

/**
 * −log p(target) at every position.
 *
 * `smoothing` ε moves that much of the target's weight to the uniform distribution over the V symbols:
 * `(1 − ε)·(−log p(target)) + ε·mean(−log p)`.
 *
 * @shape  logits [..., V], targets int [...] → [...]
 * @source smoothing: Szegedy et al. 2016, arXiv:1512.00567, §7
 */
export function crossEntropies(logits: Tensor, targets: Tensor, options: { readonly smoothing?: number } = {}): Tensor {
  const { smoothing = 0 } = options;
  const logProbabilities = logSoftmax(logits);
  const chosen = takeAlongAxis(logProbabilities, expandDims(targets, -1));
  const losses = neg(reshape(chosen, targets.shape));
  if (smoothing === 0) return losses;
  const uniform = neg(mean(logProbabilities, { axes: -1 }));
  return add(mul(losses, 1 - smoothing), mul(uniform, smoothing));
}

/**
 * The mean of −log p(target) over the positions whose target is not `ignored`; 0 when there are none.
 *
 * @shape  logits [..., V], targets int [...] → []
 */
export function meanCrossEntropy(logits: Tensor, targets: Tensor, ignored = -100): Tensor {
  const counted = cast(notEqual(targets, ignored), "float32");
  const losses = crossEntropies(logits, maximum(targets, 0));
  return div(sum(mul(losses, counted)), maximum(sum(counted), 1));
}
