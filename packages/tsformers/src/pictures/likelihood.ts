import {
  add,
  argmax,
  type Concrete,
  cast,
  expandDims,
  foldKey,
  log,
  mul,
  neg,
  type RandomKey,
  randomUniform,
  reshape,
  type Shape,
  type Tensor,
} from "@tsformers/engine";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { type LinearParams, linear } from "../nn/linear.ts";

/** How the values of a place in a picture are told from its features. */
export type Likelihood<Params = unknown> = {
  /** n, the values of a place: one channel, or all channels of a pixel. */
  readonly values: number;
  init(key: RandomKey): Concrete<Params>;
  /** −log p in nats: x [..., C], values int32 [..., n] → float32 [...] */
  nats(params: Params, x: Tensor, values: Tensor): Tensor;
  /** Draws values: x [B, C], key int32 [2] → int32 [B, n]. A temperature below 1 prefers likelier ones. */
  draw(params: Params, x: Tensor, key: Tensor, temperature: number): Tensor;
};

/**
 * Each value is one of L classes: `p = softmax(x·W + b)`, the same matrix for all channels.
 *
 * @source Parmar et al. 2018, "Image Transformer", §3.2, arXiv:1802.05751
 */
export function categoricalValues(
  width: number,
  levels: number,
  initial: Initial = normalInitial(),
): Likelihood<LinearParams> {
  const head = linear(width, levels, { initial });
  return {
    values: 1,
    init: head.init,
    nats: (params, x, values) => crossEntropies(head.apply(params, x), reshape(values, x.shape.slice(0, -1))),
    draw: (params, x, key, temperature) =>
      expandDims(drawClass(cast(head.apply(params, x), "float32"), foldKey(key, 0), temperature), -1),
  };
}

/** A class drawn from logits [..., V], by adding Gumbel noise: int32 [...]. */
export function drawClass(logits: Tensor, key: Tensor, temperature: number): Tensor {
  const noise = neg(log(neg(log(openUniform(key, logits.shape)))));
  return cast(argmax(add(mul(logits, 1 / temperature), noise)), "int32");
}

/** Uniform numbers, `0 < x < 1`. */
export function openUniform(key: Tensor, shape: Shape): Tensor {
  // In the middle of 2²³ equal parts, so that float32 holds x and 1 − x.
  return add(mul(randomUniform(key, shape), 1 - 2 ** -22), 2 ** -23);
}
