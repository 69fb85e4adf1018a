import { gelu, mul, relu, sigmoid, splitKey, square, type Tensor, tanh } from "@tsformers/engine";
import type { Context, Layer } from "../kinds/layer.ts";
import { dropout } from "./dropout.ts";
import { type Initial, normalInitial } from "./initial.ts";
import { type LinearParams, linear } from "./linear.ts";

export { gelu, relu };

/** An activation function, applied element by element. */
export type Activation = (x: Tensor) => Tensor;

/** The tanh form of GPT-2 ("gelu_new"). */
export const geluTanh: Activation = (x) => gelu(x, { approximate: "tanh" });
/** `x·σ(x)`, also called swish. */
export const silu: Activation = (x) => mul(x, sigmoid(x));
/** `x·σ(1.702·x)`, an approximation of GELU. */
export const quickGelu: Activation = (x) => mul(x, sigmoid(mul(x, 1.702)));
/** `max(x, 0)²` @source So et al. 2021, "Primer", arXiv:2109.08668 */
export const squaredRelu: Activation = (x) => square(relu(x));
export const tanhActivation: Activation = (x) => tanh(x);
export const sigmoidActivation: Activation = (x) => sigmoid(x);

/** The position-wise network of a layer. */
export type FeedForward<Params> = Layer<Params, [x: Tensor, context: Context]>;

export type FeedForwardOptions = {
  readonly modelWidth: number;
  readonly ffnWidth: number;
  readonly activation: Activation;
  readonly bias?: boolean;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
  /** Initialisation of the projection back to the residual stream; GPT-2 makes it smaller with depth. Default: `initial`. */
  readonly outInitial?: Initial;
};

export type MlpParams = { in: LinearParams; out: LinearParams };

/**
 * Feed-forward network of two layers: `activation(x·W₁ + b₁)·W₂ + b₂`.
 *
 * @shape  x [..., C] → [..., C], hidden [..., F]
 * @source Vaswani et al. 2017, §3.3
 */
export function mlp(options: FeedForwardOptions): FeedForward<MlpParams> {
  const { modelWidth, ffnWidth, activation, bias = true, dropoutRate = 0, initial = normalInitial() } = options;
  const first = linear(modelWidth, ffnWidth, { bias, initial });
  const second = linear(ffnWidth, modelWidth, { bias, initial: options.outInitial ?? initial });
  return {
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { in: first.init(a!), out: second.init(b!) };
    },
    apply: (params, x, context) =>
      dropout(second.apply(params.out, activation(first.apply(params.in, x))), dropoutRate, context, "ffn"),
  };
}

export type GatedParams = { gate: LinearParams; in: LinearParams; out: LinearParams };

/**
 * Gated feed-forward network: `(activation(x·W_gate) ∘ x·W_in)·W_out`, with `gelu` T5 v1.1's, with `silu` Llama's.
 *
 * @shape  x [..., C] → [..., C], hidden [..., F]
 * @source Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202
 */
export function gatedMlp(options: FeedForwardOptions): FeedForward<GatedParams> {
  const { modelWidth, ffnWidth, activation, bias = false, dropoutRate = 0, initial = normalInitial() } = options;
  const up = linear(modelWidth, ffnWidth, { bias, initial });
  const down = linear(ffnWidth, modelWidth, { bias, initial: options.outInitial ?? initial });
  return {
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return { gate: up.init(a!), in: up.init(b!), out: down.init(c!) };
    },
    apply: (params, x, context) => {
      const hidden = mul(activation(up.apply(params.gate, x)), up.apply(params.in, x));
      return dropout(down.apply(params.out, hidden), dropoutRate, context, "ffn");
    },
  };
}
