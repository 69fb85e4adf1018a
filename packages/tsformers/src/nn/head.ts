import { add, type Concrete, mul, type RandomKey, type Tensor } from "@tsformers/engine";
import { type EmbeddingParams, unembed } from "./embedding.ts";
import { type Initial, normalInitial, zerosInitial } from "./initial.ts";
import { type LinearParams, linear } from "./linear.ts";

/** Computes logits over the vocabulary from hidden states; may reuse the token embedding. */
export type Head<Params = unknown> = {
  init(key: RandomKey): Concrete<Params>;
  /** x [..., C] → [..., V] */
  apply(params: Params, x: Tensor, tokens: EmbeddingParams): Tensor;
};

/**
 * Tied output: `x·Eᵀ` with the token embedding E.
 *
 * @source Press & Wolf 2017, arXiv:1608.05859
 */
export function tiedHead(): Head<Record<string, never>> {
  return { init: () => ({}), apply: (_, x, tokens) => unembed(tokens, x) };
}

/** A head on `factor · x`; T5 takes `modelWidth^−½`. */
export function scaledHead<Params>(head: Head<Params>, factor: number): Head<Params> {
  return { init: (key) => head.init(key), apply: (params, x, tokens) => head.apply(params, mul(x, factor), tokens) };
}

/** `x·Eᵀ + b`: the tied embedding with a bias per symbol, as in BERT and CTRL. */
export function tiedHeadWithBias(vocabularySize: number): Head<{ bias: Tensor }> {
  return {
    init: (key) => ({ bias: zerosInitial(key, [vocabularySize]) }),
    apply: ({ bias }, x, tokens) => add(unembed(tokens, x), bias),
  };
}

/** An output matrix of its own: `x·W + b`. */
export function linearHead(
  modelWidth: number,
  vocabularySize: number,
  options: { readonly bias?: boolean; readonly initial?: Initial } = {},
): Head<LinearParams> {
  const { bias = false, initial = normalInitial() } = options;
  const layer = linear(modelWidth, vocabularySize, { bias, initial });
  return { init: (key) => layer.init(key), apply: (params, x) => layer.apply(params, x) };
}
