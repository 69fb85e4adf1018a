import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, geluTanh, mlp } from "../../nn/feed-forward.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learned } from "../../position/learned.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  fullCost,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type OpenAiGptOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions of the learned embedding. */
  readonly length: number;
  /** Default: tanh GELU. */
  readonly activation?: Activation;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * GPT-1: a post-norm decoder with learned positions and tied embeddings; no norm after the last block.
 *
 * @source Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training"
 */
export function openAiGpt(options: OpenAiGptOptions): LanguageModel<DecoderParams> {
  return decoder(openAiGptParts(options));
}

/** The parts of {@link openAiGpt}. */
export function openAiGptParts(options: OpenAiGptOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-5 } = options;
  requireSizes("openai-gpt", options, { vocabularySize, layers, length });
  const block = postNormBlock({
    modelWidth,
    norm: layerNorm({ epsilon }),
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth: 4 * modelWidth, activation: options.activation ?? geluTanh, dropoutRate }),
  });
  return {
    name: "openai-gpt",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    positions: learned(length, modelWidth),
    dropoutRate,
    depth: blockStack(Array.from({ length: layers }, () => block)),
  };
}

export type OpenAiGptSettings = StackSettings & { readonly length?: number };

export const openAiGptEntry: DecoderEntry<"openai-gpt", OpenAiGptSettings> = /* @__PURE__ */ modelEntry({
  name: "openai-gpt",
  title: "GPT",
  year: 2018,
  paper: "Radford et al. 2018, Improving Language Understanding by Generative Pre-Training",
  summary: "post-norm decoder with learned positions",
  formula: "x ← norm(x + attention(x)); x ← norm(x + mlp(x))",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions(), length: lengthOption() }),
  make: (settings) => openAiGpt(settings),
});
