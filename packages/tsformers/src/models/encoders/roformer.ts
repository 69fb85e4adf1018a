import * as z from "zod";
import type { makeView } from "../../attention/core/view.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import type { StackParams } from "../../depth/layers.ts";
import { blockStack } from "../../depth/stack.ts";
import type { QkTransform } from "../../kinds/index.ts";
import { embedding, paddedEmbedding } from "../../nn/embedding.ts";
import { type Activation, gelu, mlp } from "../../nn/feed-forward.ts";
import type { Head } from "../../nn/head.ts";
import { linear } from "../../nn/linear.ts";
import { type MaskedHeadParams, maskedHead } from "../../nn/masked-head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { neighbours, rotary, rotaryWidth } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
import { type EncoderParts, encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type EncoderEntry,
  ffnWidthOption,
  fullCost,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { BertBlockParams, BertParams } from "./bert.ts";

export type RoFormerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Width of the token embedding, projected to modelWidth if they differ. Default: modelWidth. */
  readonly embeddingWidth?: number;
  /** Number of segments. Default: 2. */
  readonly types?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: exact GELU. */
  readonly activation?: Activation;
  /** Default: {@link rotary} over all features of a head, in neighbouring pairs. */
  readonly rotation?: QkTransform;
  /** From transformed states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
  /** A token whose embedding gets no gradient. */
  readonly padding?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

/**
 * RoFormer: BERT without position vectors; instead queries and keys are rotated, in pairs of neighbouring features.
 *
 * @source Su et al. 2021, arXiv:2104.09864
 */
export function roformer(options: RoFormerOptions): LanguageModel<BertParams> {
  return encoder(roformerParts(options));
}

/** The parts of {@link roformer}. */
export function roformerParts(options: RoFormerOptions): EncoderParts<MaskedHeadParams, StackParams<BertBlockParams>> {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-12, types = 2 } = options;
  const { embeddingWidth = modelWidth, ffnWidth = 4 * modelWidth, activation = gelu, padding } = options;
  requireSizes("roformer", options, { vocabularySize, layers, embeddingWidth, ffnWidth, types });
  const norm = layerNorm({ epsilon });
  const tokens = embedding(vocabularySize, embeddingWidth);
  const block = postNormBlock({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    name: "roformer",
    vocabularySize,
    width: modelWidth,
    embeddingWidth,
    tokens: padding === undefined ? tokens : paddedEmbedding(tokens, padding),
    types: embedding(types, embeddingWidth),
    embeddingNorm: norm(embeddingWidth),
    ...(embeddingWidth !== modelWidth && { project: linear(embeddingWidth, modelWidth) }),
    rotation: options.rotation ?? rotary(rotaryWidth(options), { pairing: neighbours }),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
    head: maskedHead(options),
    ...present({ makeView: options.makeView }),
  };
}

export type RoformerSettings = StackSettings & { readonly ffnWidth?: number };

export const roformerEntry: EncoderEntry<"roformer", RoformerSettings> = /* @__PURE__ */ modelEntry({
  name: "roformer",
  title: "RoFormer",
  year: 2021,
  paper: "Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, arXiv:2104.09864",
  summary: "BERT with rotary positions",
  formula: "q, k ← R(position)·q, R(position)·k; otherwise as BERT",
  cost: fullCost,
  category: "encoder",
  options: () => z.strictObject({ ...stackOptions(), ffnWidth: ffnWidthOption() }),
  make: (settings) => roformer(present(settings)),
});
