import { customGradient, log, matmul, max, mul, softmax, sub, sum, type Tensor } from "@tsformers/engine";

/**
 * `softmax(logits)·values` with a cheap gradient of only three passes over the logits: the row sum that the softmax gradient needs,
 * over S weights times their gradients, equals the sum over D outputs times theirs.
 *
 * @shape  logits [B, H, T, S], values [B, H, S, D] → [B, H, T, D]
 * @source the identity: Dao et al. 2022, "FlashAttention", §3 and appendix B, arXiv:2205.14135
 */
export function softmaxValues(logits: Tensor, values: Tensor): Tensor {
  return customGradient({
    forward: (logits, values) => {
      const weights = softmax(logits!);
      return [matmul(weights, values!), weights];
    },
    backward: ({ inputs: [, values], outputs: [mixed, weights], cotangents: [dMixed] }) => [
      mul(weights!, sub(matmul(dMixed!, values!, { transposeB: true }), rowSums(mul(dMixed!, mixed!)))),
      matmul(weights!, dMixed!, { transposeA: true }),
    ],
  })(logits, values)[0]!;
}

/**
 * {@link softmaxValues} over some of the keys, together with each row's log-normaliser, by which such parts are merged.
 *
 * @shape  logits [B, H, T, S], values [B, H, S, D] → mixed [B, H, T, D], sums (log-normalisers) [B, H, T, 1]
 */
export function softmaxPart(logits: Tensor, values: Tensor): { mixed: Tensor; sums: Tensor } {
  const [mixed, sums] = customGradient({
    forward: (logits, values) => {
      const { mixed, sums, weights } = mixedPart(logits!, values!);
      return [mixed, sums, weights];
    },
    backward: ({ inputs: [, values], outputs: [mixed, , weights], cotangents: [dMixed, dSums] }) => {
      if (dMixed === undefined) return [dSums && mul(weights!, dSums), undefined];
      const taken = rowSums(mul(dMixed, mixed!));
      const offset = dSums === undefined ? taken : sub(taken, dSums);
      return [
        mul(weights!, sub(matmul(dMixed, values!, { transposeB: true }), offset)),
        matmul(weights!, dMixed, { transposeA: true }),
      ];
    },
  })(logits, values);
  return { mixed: mixed!, sums: sums! };
}

/**
 * {@link softmaxPart}, and the weights. The log-normaliser is the largest logit less the logarithm of its weight, which loses nothing: a softmax is one
 * pass in ONNX Runtime, subtracting, raising and adding are three.
 */
export function mixedPart(logits: Tensor, values: Tensor): Record<"mixed" | "sums" | "weights", Tensor> {
  const weights = softmax(logits);
  const largest = (x: Tensor) => max(x, { axes: -1, keepDims: true });
  return { mixed: matmul(weights, values), sums: sub(largest(logits), log(largest(weights))), weights };
}

function rowSums(x: Tensor): Tensor {
  return sum(x, { axes: -1, keepDims: true });
}
