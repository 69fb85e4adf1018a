import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { sharedNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, geluTanh, mlp } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { neighbours, type RotaryOptions, rotary, rotaryWidth } from "../../position/rotary.ts";
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

export type GptJOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Rotated features of each head; GPT-J-6B has 64 of 256. Default: all. */
  readonly rotated?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: tanh GELU. */
  readonly activation?: Activation;
  readonly angles?: NonNullable<RotaryOptions["angles"]>;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * GPT-J: a decoder whose attention and feed-forward network share one norm and are added, with partial rotary
 * positions over neighbouring features, no biases in attention, and an untied output matrix with a bias.
 *
 * @source Wang & Komatsuzaki 2021, "GPT-J-6B: A 6 Billion Parameter Autoregressive Language Model"
 */
export function gptJ(options: GptJOptions): LanguageModel<DecoderParams> {
  return decoder(gptJParts(options));
}

/** The parts of {@link gptJ}. */
export function gptJParts(options: GptJOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, activation = geluTanh, angles } = options;
  requireSizes("gptj", options, { vocabularySize, layers, ffnWidth });
  const rotated = options.rotated ?? rotaryWidth(options);
  const norm = layerNorm({ epsilon });
  const block = sharedNormBlock({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, bias: false, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    name: "gptj",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    rotation: rotary(modelWidth / heads, { pairing: neighbours, rotated, ...present({ angles }) }),
    dropoutRate,
    depth: blockStack(
      Array.from({ length: layers }, () => block),
      { finalNorm: norm(modelWidth) },
    ),
    head: linearHead(modelWidth, vocabularySize, { bias: true }),
  };
}

export type GptJSettings = StackSettings & { readonly ffnWidth?: number };

export const gptJEntry: DecoderEntry<"gptj", GptJSettings> = /* @__PURE__ */ modelEntry({
  name: "gptj",
  title: "GPT-J",
  year: 2021,
  paper: "Wang & Komatsuzaki 2021, GPT-J-6B: A 6 Billion Parameter Autoregressive Language Model",
  summary: "rotary decoder; attention and feed-forward side by side on one norm",
  formula: "y = norm(x); x ← x + attention(y) + mlp(y)",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions(), ffnWidth: ffnWidthOption() }),
  make: (settings) => gptJ(present(settings)),
});
