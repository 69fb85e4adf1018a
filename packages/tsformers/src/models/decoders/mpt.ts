import { maximum, minimum } from "@tsformers/engine";
import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding } from "../../nn/embedding.ts";
import { gelu, mlp } from "../../nn/feed-forward.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { alibi } from "../../position/alibi.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, fullCost, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type MptOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Exponent of the smallest ALiBi slope, 2^−exponent. Default: 8. */
  readonly exponent?: number;
  /** Factor of the attention logits. Default: 1/√headWidth. */
  readonly scale?: number;
  /** Queries, keys and values are clipped to ± this. Default: no clipping. */
  readonly clip?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * MPT: a pre-norm decoder with ALiBi and no biases, not even in its norms.
 *
 * @source MosaicML 2023, "Introducing MPT-7B"
 */
export function mpt(options: MptOptions): LanguageModel<DecoderParams> {
  return decoder(mptParts(options));
}

/** The parts of {@link mpt}. */
export function mptParts(options: MptOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, exponent = 8, clip, dropoutRate = 0, epsilon = 1e-5 } = options;
  requireSizes("mpt", options, { vocabularySize, layers });
  const norm = layerNorm({ epsilon, bias: false });
  const block = preNormBlock({
    modelWidth,
    norm,
    mixer: attention({
      modelWidth,
      heads,
      bias: false,
      dropoutRate,
      ...present({ scale: options.scale }),
      ...(clip !== undefined && { project: (x) => minimum(maximum(x, -clip), clip) }),
    }),
    ffn: mlp({ modelWidth, ffnWidth: 4 * modelWidth, activation: gelu, bias: false, dropoutRate }),
  });
  return {
    name: "mpt",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    scores: alibi(heads, { exponent }),
    depth: blockStack(
      Array.from({ length: layers }, () => block),
      { finalNorm: norm(modelWidth) },
    ),
  };
}

export const mptEntry: DecoderEntry<"mpt", StackSettings> = /* @__PURE__ */ modelEntry({
  name: "mpt",
  title: "MPT",
  year: 2023,
  paper: "MosaicML 2023, Introducing MPT-7B",
  summary: "ALiBi decoder without biases",
  formula: "logits[h,t,s] −= slope[h]·(t − s); x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions() }),
  make: (settings) => mpt(settings),
});
