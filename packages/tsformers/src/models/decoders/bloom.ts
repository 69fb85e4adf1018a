import { cast, cumsum, maximum, sub, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { type Block, type BlockParts, preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding } from "../../nn/embedding.ts";
import { geluTanh, mlp } from "../../nn/feed-forward.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { alibi } from "../../position/alibi.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel, TokensInput } from "../language-model.ts";
import { type DecoderEntry, fullCost, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type BloomOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** How a layer is built. Default: {@link preNormBlock}. */
  readonly block?: <Mix, Ffn>(parts: BlockParts<Mix, Ffn>) => Block;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * BLOOM: a pre-norm decoder whose only positions are ALiBi, with a norm after the embedding.
 *
 * @source Le Scao et al. 2022, "BLOOM: A 176B-Parameter Open-Access Multilingual Language Model", arXiv:2211.05100
 */
export function bloom(options: BloomOptions): LanguageModel<DecoderParams> {
  return decoder(bloomParts(options));
}

/** The parts of {@link bloom}. */
export function bloomParts(options: BloomOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5, block = preNormBlock } = options;
  requireSizes("bloom", options, { vocabularySize, layers });
  const norm = layerNorm({ epsilon });
  const layer = block({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth: 4 * modelWidth, activation: geluTanh, dropoutRate }),
  });
  return {
    name: "bloom",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    embeddingNorm: norm(modelWidth),
    scores: alibi(heads),
    positionsOf: countTokens,
    depth: blockStack(
      Array.from({ length: layers }, () => layer),
      { finalNorm: norm(modelWidth) },
    ),
  };
}

/** Number of tokens before each, padding not counted: mask [B, T] → int32 [B, T]. */
function countTokens({ mask }: Pick<TokensInput, "mask">): Tensor | undefined {
  if (mask === undefined) return undefined;
  return cast(maximum(sub(cumsum(cast(mask, "float32"), 1), 1), 0), "int32");
}

export const bloomEntry: DecoderEntry<"bloom", StackSettings> = /* @__PURE__ */ modelEntry({
  name: "bloom",
  title: "BLOOM",
  year: 2022,
  paper: "Le Scao et al. 2022, BLOOM: A 176B-Parameter Open-Access Multilingual Language Model, arXiv:2211.05100",
  summary: "ALiBi decoder with a norm after the embedding",
  formula: "logits[h,t,s] −= slope[h]·(t − s); x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions() }),
  make: (settings) => bloom(settings),
});
