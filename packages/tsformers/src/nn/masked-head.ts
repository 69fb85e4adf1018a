import { type Concrete, splitKey } from "@tsformers/engine";
import { present } from "../schema/present.ts";
import { type Activation, gelu } from "./feed-forward.ts";
import { type Head, tiedHeadWithBias } from "./head.ts";
import type { Initial } from "./initial.ts";
import { type LinearParams, linear } from "./linear.ts";
import { layerNorm, type NormParams } from "./norm.ts";

export type MaskedHeadParams = { dense: LinearParams; norm: NormParams; output: unknown };

export type MaskedHeadOptions = {
  readonly vocabularySize: number;
  readonly modelWidth: number;
  /** Width of the token embedding that the output is tied to. Default: modelWidth. */
  readonly embeddingWidth?: number;
  readonly activation?: Activation;
  readonly epsilon?: number;
  /** Of the dense layer. Default: {@link normalInitial}. */
  readonly initial?: Initial;
  /** From transformed states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
};

/**
 * BERT's output layers: `norm(activation(x·W + b))`, then the tied embedding with a bias.
 *
 * @shape  x [..., C] → [..., V]
 * @source Devlin et al. 2019, §3.1, and its published code
 */
export function maskedHead(options: MaskedHeadOptions): Head<MaskedHeadParams> {
  const { vocabularySize, modelWidth, embeddingWidth = modelWidth, activation = gelu, epsilon = 1e-12 } = options;
  const dense = linear(modelWidth, embeddingWidth, present({ initial: options.initial }));
  const norm = layerNorm({ epsilon })(embeddingWidth);
  const output: Head = options.output ?? (tiedHeadWithBias(vocabularySize) as Head);
  return {
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return { dense: dense.init(a!), norm: norm.init(b!), output: output.init(c!) } as Concrete<MaskedHeadParams>;
    },
    apply: (params, x, tokens) => {
      const transformed = norm.apply(params.norm, activation(dense.apply(params.dense, x)));
      return output.apply(params.output, transformed, tokens);
    },
  };
}
