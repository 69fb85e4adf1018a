import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Mixer } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, gatedMlp, silu } from "../../nn/feed-forward.ts";
import { type Norm, rmsNorm } from "../../nn/norm.ts";
import { headWidthOf, requireSizes } from "../../nn/sizes.ts";
import { halves, type RotaryOptions, rotary } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  fullCost,
  keyValueHeadsOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";

export type LlamaOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Heads of keys and values. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** D, width of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  readonly ffnWidth: number;
  /** Default: halves are paired. Published weights before conversion by Hugging Face pair neighbours. */
  readonly rotary?: RotaryOptions;
  readonly activation?: Activation;
  /** How positions exchange information in each layer. Default: softmax attention. */
  readonly mixer?: (layer: number) => Mixer<unknown>;
  /** Of the projections of softmax attention. Default: false. */
  readonly attentionBias?: boolean;
  readonly ffnBias?: boolean;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Of blocks and at the end. Default: {@link rmsNorm}. */
  readonly norm?: Norm;
};

/**
 * Llama: a pre-norm decoder with RMS norms, rotary positions, grouped-query attention and SwiGLU, without biases. The output
 * is tied to the embedding, as in the small models; larger ones have a {@link linearHead}.
 *
 * @source Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", arXiv:2302.13971
 */
export function llama(options: LlamaOptions): LanguageModel<DecoderParams> {
  return decoder(llamaParts(options));
}

/**
 * The parts of {@link llama}.
 *
 * @param name of the model, for errors
 */
export function llamaParts(options: LlamaOptions, name = "llama"): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, ffnWidth, dropoutRate = 0, epsilon = 1e-6 } = options;
  const { keyValueHeads = heads, headWidth = headWidthOf(name, options), activation = silu } = options;
  requireSizes(name, options, { vocabularySize, layers, ffnWidth, keyValueHeads });
  const { norm = rmsNorm({ epsilon }) } = options;
  const bias = options.attentionBias ?? false;
  const softmax = attention({ modelWidth, heads, keyValueHeads, headWidth, bias, dropoutRate });
  const { mixer = () => softmax as Mixer<unknown> } = options;
  const ffn = gatedMlp({ modelWidth, ffnWidth, activation, bias: options.ffnBias ?? false, dropoutRate });
  return {
    name,
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth),
    rotation: rotary(headWidth, { pairing: halves, ...options.rotary }),
    depth: blockStack(
      Array.from({ length: layers }, (_, layer) => preNormBlock({ modelWidth, norm, mixer: mixer(layer), ffn })),
      { finalNorm: norm(modelWidth) },
    ),
  };
}

export type LlamaSettings = StackSettings & { readonly ffnWidth?: number; readonly keyValueHeads?: number };

export const llamaEntry: DecoderEntry<"llama", LlamaSettings> = /* @__PURE__ */ modelEntry({
  name: "llama",
  title: "Llama",
  year: 2023,
  paper: "Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models, arXiv:2302.13971",
  summary: "rotary decoder with RMS norms, SwiGLU and grouped-query attention",
  formula: "x ← x + attention(rms(x)); x ← x + (silu(x·W_g) ∘ x·W_in)·W_out",
  cost: fullCost,
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption("8/3 × modelWidth"),
      keyValueHeads: keyValueHeadsOption(),
    }),
  make: ({ ffnWidth, ...settings }) =>
    llama({ ...present(settings), ffnWidth: ffnWidth ?? Math.ceil((8 * settings.modelWidth) / 3) }),
});
