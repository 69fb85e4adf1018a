import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { type SharedParams, shared } from "../../depth/shared.ts";
import { embedding, paddedEmbedding } from "../../nn/embedding.ts";
import { type Activation, geluTanh, mlp } from "../../nn/feed-forward.ts";
import type { Head } from "../../nn/head.ts";
import { linear } from "../../nn/linear.ts";
import { type MaskedHeadParams, maskedHead } from "../../nn/masked-head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learned } from "../../position/learned.ts";
import { widthCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type EncoderParams, type EncoderParts, encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  depthCount,
  type EncoderEntry,
  ffnWidthOption,
  fullCost,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SightParts } from "../views.ts";

export type AlbertOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions that the learned embedding knows. */
  readonly length: number;
  /** Of the embeddings, which are projected to modelWidth. Default: 128. */
  readonly embeddingWidth?: number;
  /** Blocks that neighbouring layers share. Default: 1. */
  readonly groups?: number;
  /** Segments. Default: 2. */
  readonly types?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: tanh GELU. */
  readonly activation?: Activation;
  /** From transformed states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
  /** A token whose look-up teaches nothing. */
  readonly padding?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  readonly makeView?: NonNullable<SightParts["makeView"]>;
};

const defaults = { embeddingWidth: 128, groups: 1 };

export type AlbertParams = EncoderParams<MaskedHeadParams, SharedParams>;

/**
 * ALBERT: BERT whose layers share one block, on narrow embeddings that are projected to the model's width.
 *
 * `x = norm(token + segment + position)·W [E, C]`; N times `x ← norm(x + attention(x))`, `x ← norm(x + mlp(x))` with the same parameters.
 * Parameters are `(V + P + S + 2)·E + (E + 1)·C` of the embedding, one block, and the head's. ALBERT-base: V 30,000, E 128, C 768, N 12,
 * H 12: 11.2 million, 11.7 million with the pooler of the bare model.
 *
 * @source Lan et al. 2020, "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations", arXiv:1909.11942
 * @differs no sentence-order loss
 */
export function albert(options: AlbertOptions): LanguageModel<AlbertParams> {
  return encoder(albertParts(options));
}

/** The parts of which {@link albert} is put together. */
export function albertParts(options: AlbertOptions): EncoderParts<MaskedHeadParams, SharedParams> {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-12, types = 2 } = options;
  const {
    embeddingWidth = defaults.embeddingWidth,
    groups = defaults.groups,
    ffnWidth = 4 * modelWidth,
    activation = geluTanh,
    padding,
  } = options;
  requireSizes("albert", options, { vocabularySize, layers, length, ffnWidth, types, embeddingWidth, groups });
  const norm = layerNorm({ epsilon });
  const tokens = embedding(vocabularySize, embeddingWidth);
  const block = postNormBlock<unknown, unknown>({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    name: "albert",
    vocabularySize,
    width: modelWidth,
    embeddingWidth,
    tokens: padding === undefined ? tokens : paddedEmbedding(tokens, padding),
    types: embedding(types, embeddingWidth),
    positions: learned(length, embeddingWidth),
    embeddingNorm: norm(embeddingWidth),
    project: linear(embeddingWidth, modelWidth),
    dropoutRate,
    depth: shared(
      Array.from({ length: layers }, () => block),
      { groups },
    ),
    head: maskedHead({ ...options, embeddingWidth, activation }),
    ...present({ makeView: options.makeView }),
  };
}

export type AlbertSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly embeddingWidth?: number;
  readonly groups?: number;
};

export const albertEntry: EncoderEntry<"albert", AlbertSettings> = /* @__PURE__ */ modelEntry({
  name: "albert",
  title: "ALBERT",
  year: 2020,
  paper: "Lan et al. 2020, ALBERT: A Lite BERT for Self-supervised Learning, arXiv:1909.11942",
  summary: "BERT whose layers share one block, on narrow embeddings",
  formula: "x = norm(token + segment + position)·W; N times x ← block(x)",
  cost: fullCost,
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      embeddingWidth: widthCount()
        .default(defaults.embeddingWidth)
        .describe("features of the embeddings, which are projected to modelWidth"),
      groups: depthCount().default(defaults.groups).describe("blocks that neighbouring layers share"),
    }),
  make: (settings) => albert(present(settings)),
});
