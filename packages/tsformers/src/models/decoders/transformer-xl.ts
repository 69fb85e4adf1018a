import * as z from "zod";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { type BlockParts, postNormBlock, preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { segmentMemory } from "../../memory/segment-memory.ts";
import { adaptiveEmbedding, adaptiveHead, type Clusters } from "../../nn/adaptive.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { tiedHeadWithBias } from "../../nn/head.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { headWidthOf, requireSizes } from "../../nn/sizes.ts";
import { transformerXlScores } from "../../position/transformer-xl.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  initializerRangeOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type TransformerXlOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Positions of earlier segments that each layer remembers. */
  readonly memoryLength: number;
  /** Every query sees `memoryLength` positions, itself among them, however far into its segment it stands. Default: all there are. */
  readonly sameLength?: true;
  /** Distances beyond it count as this one: `clamp_len` of the authors' code. Default: all are told apart. */
  readonly maxDistance?: number;
  /** Every layer has biases u and v of its own. Default: shared. */
  readonly untied?: true;
  /** Norms stand before the sublayers. Default: behind the residual sums. */
  readonly preNorm?: true;
  /** A vocabulary in clusters: adaptive input and softmax. Default: one table. */
  readonly clusters?: Pick<Clusters, "cutoffs" | "divisor"> & { readonly ownProjection?: true };
  /** Draws the matrices of the layers. Default: normal with a deviation of `initializerRange`. */
  readonly initial?: Initial;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Standard deviation of initial weights. Default: 0.02. */
  readonly initializerRange?: number;
};

/**
 * Transformer-XL: a decoder whose layers remember their inputs of earlier segments and tell positions by distance alone, so that what is
 * remembered keeps its meaning.
 *
 * `h_n = block(h_{n−1}, [SG(m_{n−1}), h_{n−1}])`, with `logits = ((q_t + u)·k_s + (q_t + v)·W_R R_{t−s})/√D`; m is the last M inputs
 * of the layer. Embeddings are multiplied by √C.
 *
 * @source Dai et al. 2019, "Transformer-XL: Attentive Language Models beyond a Fixed-Length Context", §3, arXiv:1901.02860
 * @differs no dropout of the sinusoids, nor of attention weights beyond the common rate
 */
export function transformerXl(options: TransformerXlOptions): LanguageModel<DecoderParams> {
  return decoder(transformerXlParts(options));
}

/** The parts of which {@link transformerXl} is put together. @param name what the model is called in errors */
export function transformerXlParts(options: TransformerXlOptions, name = "transformer-xl"): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, memoryLength, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, maxDistance, untied } = options;
  requireSizes(name, options, { vocabularySize, layers, ffnWidth, memoryLength });
  const headWidth = headWidthOf(name, options);
  const usual = normalInitial(options.initializerRange);
  const { initial = usual } = options;
  const mixer = segmentMemory(attention({ modelWidth, heads, headWidth, bias: false, dropoutRate, initial }), {
    length: memoryLength,
    modelWidth,
  });
  const norm = layerNorm({ epsilon });
  const ffn = mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial });
  const parts: BlockParts<unknown, unknown> = { modelWidth, norm, mixer, ffn };
  const block = options.preNorm ? preNormBlock(parts) : postNormBlock(parts);
  const clusters = options.clusters && { ...options.clusters, vocabularySize, modelWidth };
  const tokens =
    clusters === undefined ? embedding(vocabularySize, modelWidth, usual) : adaptiveEmbedding(clusters, usual);
  return {
    name,
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(tokens, Math.sqrt(modelWidth)),
    scores: transformerXlScores({ layers, modelWidth, heads, headWidth, initial, ...present({ maxDistance, untied }) }),
    ...(options.sameLength && { pattern: slidingWindow({ before: memoryLength - 1, after: 0 }) }),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: clusters === undefined ? tiedHeadWithBias(vocabularySize) : adaptiveHead({ ...clusters, initial: usual }),
  };
}

export type TransformerXlSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly memoryLength?: number;
  readonly sameLength?: boolean;
  readonly maxDistance?: number;
  readonly initializerRange?: number;
};

export const transformerXlEntry: DecoderEntry<"transformer-xl", TransformerXlSettings> = /* @__PURE__ */ modelEntry({
  name: "transformer-xl",
  title: "Transformer-XL",
  year: 2019,
  paper: "Dai et al. 2019, Transformer-XL: Attentive Language Models beyond a Fixed-Length Context, arXiv:1901.02860",
  summary: "a decoder whose layers remember earlier segments and tell positions by distance",
  formula: "h_n = block(h_{n−1}, [SG(m_{n−1}), h_{n−1}]); logits = ((q + u)·k + (q + v)·W_R R_d)/√D",
  cost: "O(n·(n + m)·d) time, O((n + m)·d) memory, m = memoryLength",
  serves: ["segments"],
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption(),
      memoryLength: positionCount().default(128).describe("positions of earlier segments that each layer remembers"),
      sameLength: z
        .boolean()
        .default(false)
        .describe("whether every query sees as many positions, memoryLength in all"),
      maxDistance: positionCount()
        .optional()
        .describe("distances beyond it count as this one. Default: all are told apart"),
      initializerRange: initializerRangeOption(),
    }),
  make: ({ sameLength, ...settings }) => transformerXl({ ...present(settings), ...(sameLength && { sameLength }) }),
});
