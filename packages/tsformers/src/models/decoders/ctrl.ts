import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { tiedHeadWithBias } from "../../nn/head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { concatenated, type SinusoidalOptions, sinusoidal } from "../../position/sinusoidal.ts";
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

export type CtrlOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly ffnWidth: number;
  readonly dropoutRate?: number;
  /** ε of the final norm; norms in the blocks have 1e-6. Default: 1e-6. */
  readonly epsilon?: number;
  readonly angles?: NonNullable<SinusoidalOptions["angles"]>;
};

/**
 * CTRL: a pre-norm ReLU decoder; embeddings × √C plus sinusoids, sines before cosines; tied output with a bias.
 *
 * @source Keskar et al. 2019, "CTRL: A Conditional Transformer Language Model for Controllable Generation", arXiv:1909.05858
 */
export function ctrl(options: CtrlOptions): LanguageModel<DecoderParams> {
  return decoder(ctrlParts(options));
}

/** The parts of {@link ctrl}. */
export function ctrlParts(options: CtrlOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, ffnWidth, dropoutRate = 0, epsilon = 1e-6, angles } = options;
  requireSizes("ctrl", options, { vocabularySize, layers, ffnWidth });
  const block = preNormBlock({
    modelWidth,
    norm: layerNorm({ epsilon: 1e-6 }),
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate }),
  });
  return {
    name: "ctrl",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(embedding(vocabularySize, modelWidth), Math.sqrt(modelWidth)),
    positions: sinusoidal(modelWidth, { layout: concatenated, ...present({ angles }) }),
    dropoutRate,
    depth: blockStack(
      Array.from({ length: layers }, () => block),
      { finalNorm: layerNorm({ epsilon })(modelWidth) },
    ),
    head: tiedHeadWithBias(vocabularySize),
  };
}

export type CtrlSettings = StackSettings & { readonly ffnWidth?: number };

export const ctrlEntry: DecoderEntry<"ctrl", CtrlSettings> = /* @__PURE__ */ modelEntry({
  name: "ctrl",
  title: "CTRL",
  year: 2019,
  paper:
    "Keskar et al. 2019, CTRL: A Conditional Transformer Language Model for Controllable Generation, arXiv:1909.05858",
  summary: "pre-norm ReLU decoder with sinusoidal positions",
  formula: "x = √C·token + PE; x ← x + attention(norm(x)); x ← x + mlp(norm(x))",
  cost: fullCost,
  category: "decoder",
  options: () => z.strictObject({ ...stackOptions(), ffnWidth: ffnWidthOption() }),
  make: ({ ffnWidth, ...settings }) => ctrl({ ...settings, ffnWidth: ffnWidth ?? 4 * settings.modelWidth }),
});
