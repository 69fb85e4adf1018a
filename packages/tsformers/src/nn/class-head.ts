import { type Concrete, splitKey, type Tensor } from "@tsformers/engine";
import type { Context, Layer } from "../kinds/layer.ts";
import { dropout } from "./dropout.ts";
import { type Activation, tanhActivation } from "./feed-forward.ts";
import { type LinearParams, linear } from "./linear.ts";

export type HiddenClassHeadOptions = {
  readonly modelWidth: number;
  readonly classes: number;
  /** Of the hidden layer. Default: tanh. */
  readonly activation?: Activation;
  /** Of the hidden layer. Default: 0. */
  readonly dropoutRate?: number;
};

export type HiddenClassHeadParams = { dense: LinearParams; out: LinearParams };

/**
 * Logits of classes through a hidden layer as wide as the model: `activation(x·W₁ + b₁)·W₂ + b₂`.
 *
 * @shape  x [B, C] → [B, classes]
 * @source the published code of RoBERTa (Liu et al. 2019, arXiv:1907.11692), which Longformer keeps
 */
export function hiddenClassHead(
  options: HiddenClassHeadOptions,
): Layer<HiddenClassHeadParams, [x: Tensor, context: Context]> {
  const { modelWidth, classes, activation = tanhActivation, dropoutRate = 0 } = options;
  const dense = linear(modelWidth, modelWidth);
  const out = linear(modelWidth, classes);
  return {
    init: (key): Concrete<HiddenClassHeadParams> => {
      const [a, b] = splitKey(key, 2);
      return { dense: dense.init(a!), out: out.init(b!) };
    },
    apply: (params, x, context) => {
      const hidden = dropout(activation(dense.apply(params.dense, x)), dropoutRate, context, "hidden");
      return out.apply(params.out, hidden);
    },
  };
}
