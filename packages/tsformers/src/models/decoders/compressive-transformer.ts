import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import {
  type CompressionLossMaker,
  type CompressionLossName,
  compressionLosses,
} from "../../memory/compression-losses.ts";
import { type CompressionMaker, type CompressionName, compressions } from "../../memory/compressions.ts";
import { compressiveMemory } from "../../memory/compressive-memory.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { tiedHeadWithBias } from "../../nn/head.ts";
import { normalInitial } from "../../nn/initial.ts";
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

export type CompressiveTransformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** n_m: positions of earlier segments that each layer remembers as they were. */
  readonly memoryLength: number;
  /** n_cm: vectors that each layer remembers of positions before them. */
  readonly compressedLength: number;
  /** c: how many positions become one vector; `memoryLength` is a multiple of it. */
  readonly compressionRate: number;
  /** How they become one. Default: a convolution. */
  readonly compression?: CompressionMaker;
  /** What a learned compression learns from. Default: attention reconstruction. */
  readonly compressionLoss?: CompressionLossMaker;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Standard deviation of initial weights. Default: 0.02; compressions have their own. */
  readonly initializerRange?: number;
};

/**
 * Compressive Transformer: Transformer-XL whose old memories are compressed instead of forgotten.
 *
 * `h_n = block(h_{n−1}, [SG(cm), SG(m), h_{n−1}])`; what leaves m is appended to cm, each c positions as one vector: `cm ← [cm, f_c(old)]`.
 * Positions are told by their distance in `[cm, m, h]`. Losses: `reconstruction` or `autoencoding`, which train f_c alone.
 *
 * @source Rae et al. 2020, "Compressive Transformers for Long-Range Sequence Modelling", arXiv:1911.05507
 * @differs one table of tokens, where the paper's largest vocabulary is in clusters; gradients do not flow through several segments
 */
export function compressiveTransformer(options: CompressiveTransformerOptions): LanguageModel<DecoderParams> {
  return decoder(compressiveTransformerParts(options));
}

/** The parts of which {@link compressiveTransformer} is put together. */
export function compressiveTransformerParts(options: CompressiveTransformerOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, memoryLength, compressedLength, compressionRate } = options;
  const { compression, compressionLoss } = options;
  const name = "compressive-transformer";
  requireSizes(name, options, { vocabularySize, layers, ffnWidth, memoryLength, compressedLength, compressionRate });
  const headWidth = headWidthOf(name, options);
  const initial = normalInitial(options.initializerRange);
  const mixer = compressiveMemory(attention({ modelWidth, heads, headWidth, bias: false, dropoutRate, initial }), {
    modelWidth,
    memoryLength,
    compressedLength,
    compressionRate,
    ...present({ compression, compressionLoss }),
  });
  const block = postNormBlock({
    modelWidth,
    norm: layerNorm({ epsilon }),
    mixer,
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
  });
  return {
    name,
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(embedding(vocabularySize, modelWidth, initial), Math.sqrt(modelWidth)),
    scores: transformerXlScores({ layers, modelWidth, heads, headWidth, initial }),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: tiedHeadWithBias(vocabularySize),
  };
}

export type CompressiveTransformerSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly memoryLength?: number;
  readonly compressedLength?: number;
  readonly compressionRate?: number;
  readonly compression?: CompressionName;
  readonly compressionLoss?: CompressionLossName;
  readonly initializerRange?: number;
};

export const compressiveTransformerEntry: DecoderEntry<"compressive-transformer", CompressiveTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "compressive-transformer",
    title: "Compressive Transformer",
    year: 2020,
    paper: "Rae et al. 2020, Compressive Transformers for Long-Range Sequence Modelling, arXiv:1911.05507",
    summary: "Transformer-XL whose old memories are compressed instead of forgotten",
    formula: "h_n = block(h_{n−1}, [SG(cm), SG(m), h_{n−1}]); cm ← [cm, f_c(what leaves m)]",
    cost: "O(n·(n + m + cm)·d) time, O((n + m + cm)·d) memory; reaches back N·(m + c·cm) positions",
    serves: ["segments"],
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        ffnWidth: ffnWidthOption(),
        memoryLength: positionCount().default(128).describe("positions that each layer remembers as they were"),
        compressedLength: positionCount().default(128).describe("vectors that each layer remembers of those before"),
        compressionRate: positionCount().default(4).describe("how many positions become one vector"),
        compression: z
          .enum(Object.keys(compressions) as [CompressionName, ...CompressionName[]])
          .default("convolution")
          .describe("how they become one"),
        compressionLoss: z
          .enum(Object.keys(compressionLosses) as [CompressionLossName, ...CompressionLossName[]])
          .optional()
          .describe("what convolutions learn from. Default: attention-reconstruction"),
        initializerRange: initializerRangeOption(),
      }),
    make: ({ compression, compressionLoss, ...settings }) =>
      compressiveTransformer({
        ...present(settings),
        compression: compressions[compression],
        ...(compressionLoss !== undefined && { compressionLoss: compressionLosses[compressionLoss] }),
      }),
  });
