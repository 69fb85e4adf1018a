import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { type Block, type BlockParts, parallelBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, gelu, mlp } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { halves, type RotaryOptions, rotary } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  fullCost,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type GptNeoXOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: a quarter of each head is rotated. */
  readonly rotary?: Omit<RotaryOptions, "pairing">;
  readonly activation?: Activation;
  /** How a layer is built. Default: {@link parallelBlock}. */
  readonly block?: <Mix, Ffn>(parts: BlockParts<Mix, Ffn>) => Block;
  readonly attentionBias?: boolean;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * GPT-NeoX: attention and feed-forward network in parallel, each with its own norm; rotary positions on the first quarter
 * of each head; an untied output matrix.
 *
 * @source Black et al. 2022, "GPT-NeoX-20B: An Open-Source Autoregressive Language Model", arXiv:2204.06745
 */
export function gptNeoX(options: GptNeoXOptions): LanguageModel<DecoderParams> {
  return decoder(gptNeoXParts(options));
}

/** The parts of {@link gptNeoX}. */
export function gptNeoXParts(options: GptNeoXOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5, block = parallelBlock } = options;
  const { ffnWidth = 4 * modelWidth, activation = gelu, attentionBias: bias = true } = options;
  requireSizes("gpt-neox", options, { vocabularySize, layers, ffnWidth });
  const headWidth = modelWidth / heads;
  const norm = layerNorm({ epsilon });
  const layer = block({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, bias, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    name: "gpt-neox",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    rotation: rotary(headWidth, { rotated: 2 * Math.ceil(headWidth / 8), ...options.rotary, pairing: halves }),
    dropoutRate,
    depth: blockStack(
      Array.from({ length: layers }, () => layer),
      { finalNorm: norm(modelWidth) },
    ),
    head: linearHead(modelWidth, vocabularySize),
  };
}

export type GptNeoXSettings = StackSettings & { readonly ffnWidth?: number };

export const gptNeoXEntry: DecoderEntry<"gpt-neox", GptNeoXSettings> = /* @__PURE__ */ modelEntry({
  name: "gpt-neox",
  title: "GPT-NeoX",
  year: 2022,
  paper: "Black et al. 2022, GPT-NeoX-20B: An Open-Source Autoregressive Language Model, arXiv:2204.06745",
  summary: "rotary decoder; attention and feed-forward side by side, each on its own norm",
  formula: "x ← x + attention(norm₁(x)) + mlp(norm₂(x))",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions(), ffnWidth: ffnWidthOption() }),
  make: (settings) => gptNeoX(present(settings)),
});
