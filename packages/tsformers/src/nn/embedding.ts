import { equal, expandDims, gather, matmul, mul, stopGradient, type Tensor, where } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type Initial, normalInitial } from "./initial.ts";

export type EmbeddingParams = { weight: Tensor };

/**
 * One vector for each of `count` symbols.
 *
 * @shape tokens [...] int32 → [..., width]; weight [count, width]
 */
export function embedding(count: number, width: number, initial: Initial = normalInitial()): Layer<EmbeddingParams> {
  return {
    init: (key) => ({ weight: initial(key, [count, width]) }),
    apply: ({ weight }, tokens) => gather(weight, tokens),
  };
}

/**
 * Logits over the symbols of an embedding, `x·Wᵀ`: the output matrix tied to the input one.
 *
 * @shape  x [..., width] → [..., count]
 * @source Press & Wolf 2017, "Using the Output Embedding to Improve Language Models", arXiv:1608.05859
 */
export function unembed({ weight }: EmbeddingParams, x: Tensor): Tensor {
  return matmul(x, weight, { transposeB: true });
}

/** An embedding whose looked-up vectors are multiplied by `factor`, √width in the original Transformer. A tied output is not scaled. */
export function scaledEmbedding(layer: Layer<EmbeddingParams>, factor: number): Layer<EmbeddingParams> {
  return { init: (key) => layer.init(key), apply: (params, tokens) => mul(layer.apply(params, tokens), factor) };
}

/** An embedding in which looking up `padding` gives no gradient: torch's `padding_idx`. */
export function paddedEmbedding(layer: Layer<EmbeddingParams>, padding: number): Layer<EmbeddingParams> {
  return {
    init: (key) => layer.init(key),
    apply: (params, tokens) => {
      const vectors = layer.apply(params, tokens);
      return where(expandDims(equal(tokens, padding), -1), stopGradient(vectors), vectors);
    },
  };
}
