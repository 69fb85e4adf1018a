import * as z from "zod";
import { causal } from "../../attention/patterns/pattern.ts";
import { perLayer } from "../../attention/patterns/per-layer.ts";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { sandwichBlock } from "../../blocks/sandwich-block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { type Activation, gatedMlp, geluTanh } from "../../nn/feed-forward.ts";
import { tiedHead } from "../../nn/head.ts";
import { zeroCentredRmsNorm } from "../../nn/norm.ts";
import { headWidthOf, requireCounts, requireSizes } from "../../nn/sizes.ts";
import { cappedHead } from "../../nn/soft-cap.ts";
import { type RotaryOptions, rotary } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  headWidthOption,
  keyValueHeadsOption,
  modelEntry,
  type StackSettings,
  stackOptions,
  windowOption,
} from "../model-entry.ts";

export type Gemma2Options = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Heads of keys and values. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** D, width of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  readonly ffnWidth: number;
  /** W, positions that a query sees in layers 0, 2, …, itself among them; 4096 in the published models. */
  readonly window: number;
  /** Factor of the attention logits. Default: 1/√headWidth; the 27B model has 1/√(modelWidth / heads). */
  readonly scale?: number;
  /** Attention logits stay within ± this. Default: they are not capped. */
  readonly cap?: number;
  /** Logits of the output stay within ± this. Default: they are not capped. */
  readonly outputCap?: number;
  readonly rotary?: RotaryOptions;
  readonly activation?: Activation;
  readonly attentionBias?: boolean;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * Gemma 2: a rotary decoder whose layers see a sliding window and everything in turn, with norms before and after each sublayer, a gated
 * feed-forward network with GELU, embeddings scaled by √modelWidth, and caps on the logits of attention and output.
 *
 * @source Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", §2, arXiv:2408.00118
 */
export function gemma2(options: Gemma2Options): LanguageModel<DecoderParams> {
  return decoder(gemma2Parts(options));
}

/** The parts of {@link gemma2}. */
export function gemma2Parts(options: Gemma2Options): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, ffnWidth, window, dropoutRate = 0, epsilon = 1e-6 } = options;
  const { keyValueHeads = heads, headWidth = headWidthOf("gemma2", options), activation = geluTanh } = options;
  const { scale, cap, outputCap, attentionBias: bias = false } = options;
  requireSizes("gemma2", options, { vocabularySize, layers, ffnWidth, keyValueHeads });
  requireCounts("gemma2", { window });
  const norm = zeroCentredRmsNorm({ epsilon });
  const sizes = { modelWidth, heads, keyValueHeads, headWidth };
  const block = sandwichBlock({
    modelWidth,
    norm,
    mixer: attention({ ...sizes, bias, dropoutRate, ...present({ scale, cap }) }),
    ffn: gatedMlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    name: "gemma2",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(embedding(vocabularySize, modelWidth), Math.sqrt(modelWidth)),
    rotation: rotary(headWidth, options.rotary),
    pattern: perLayer([slidingWindow({ before: window - 1, after: 0 }), causal]),
    depth: blockStack(
      Array.from({ length: layers }, () => block),
      { finalNorm: norm(modelWidth) },
    ),
    ...(outputCap !== undefined && { head: cappedHead(tiedHead(), outputCap) }),
  };
}

export type Gemma2Settings = StackSettings & {
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
  readonly headWidth?: number;
  readonly window?: number;
  readonly cap?: number;
  readonly outputCap?: number;
};

export const gemma2Entry: DecoderEntry<"gemma2", Gemma2Settings> = /* @__PURE__ */ modelEntry({
  name: "gemma2",
  title: "Gemma 2",
  year: 2024,
  paper: "Gemma Team 2024, Gemma 2: Improving Open Language Models at a Practical Size, arXiv:2408.00118",
  summary: "windows and full attention in turn, norms before and after each sublayer, capped logits",
  formula: "x ← x + rms(attention(rms(x))); x ← x + rms((gelu(y·W_g) ∘ y·W_in)·W_out), y = rms(x); z ← c·tanh(z/c)",
  cost: "O(n·(n + W)·d/2) time, O(n·d) memory",
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption(),
      keyValueHeads: keyValueHeadsOption(),
      headWidth: headWidthOption(),
      window: windowOption(),
      cap: z.number().positive().default(50).describe("attention logits stay within ± this"),
      outputCap: z.number().positive().default(30).describe("logits of the output stay within ± this"),
    }),
  make: ({ ffnWidth, ...settings }) => gemma2({ ...present(settings), ffnWidth: ffnWidth ?? 4 * settings.modelWidth }),
});
