import { cast, mul, reshape, sigmoid, sub, type Tensor } from "@tsformers/engine";

/**
 * What a softmax over keys becomes beside a sink, a logit z′ that has no value: everything is multiplied by the keys' share,
 * `Σ exp(z) / (Σ exp(z) + exp(z′)) = σ(log Σ exp(z) − z′)`.
 *
 * @param sums log-normalisers of the keys, [B, H, T, 1]
 * @param sink a logit for each head, [H]
 * @shape x [B, H, T, ·] → the same
 */
export function besideSink(x: Tensor, sums: Tensor, sink: Tensor): Tensor {
  const share = sigmoid(sub(sums, reshape(cast(sink, "float32"), [-1, 1, 1])));
  return mul(x, cast(share, x.dtype));
}
