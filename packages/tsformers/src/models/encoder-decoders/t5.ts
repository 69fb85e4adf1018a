import * as z from "zod";
import { type AttentionOptions, attention } from "../../attention/softmax/attention.ts";
import { preNormBlock } from "../../blocks/block.ts";
import { preNormCrossBlock } from "../../blocks/cross-block.ts";
import type { Mixer } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, type FeedForward, type FeedForwardOptions, mlp, relu } from "../../nn/feed-forward.ts";
import { type Head, scaledHead, tiedHead } from "../../nn/head.ts";
import { normalInitial } from "../../nn/initial.ts";
import { rmsNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { type BucketOptions, bidirectionalBuckets, causalBuckets, t5Bias } from "../../position/t5-bias.ts";
import { present } from "../../schema/present.ts";
import { type EncoderDecoderParams, type EncoderDecoderParts, encoderDecoder } from "../encoder-decoder.ts";
import {
  decoderLayersOption,
  type EncoderDecoderEntry,
  ffnWidthOption,
  fullCost,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SequenceToSequence } from "../sequence-to-sequence.ts";

export type T5Options = {
  readonly vocabularySize: number;
  readonly layers: number;
  /** Default: `layers`. */
  readonly decoderLayers?: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** D, width of a head, which T5 need not derive from modelWidth. Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: {@link mlp}; T5 v1.1 has a {@link gatedMlp}. */
  readonly ffn?: (options: FeedForwardOptions) => FeedForward<unknown>;
  /** Default: ReLU; v1.1 has the tanh GELU. */
  readonly activation?: Activation;
  readonly distances?: BucketOptions;
  /** Default: the tied embedding on states × modelWidth^−½; v1.1 has a separate matrix. */
  readonly head?: Head;
  /** How positions of the source exchange information in each layer, without a factor of the logits. Default: {@link attention}. */
  readonly sourceMixer?: (layer: number, options: AttentionOptions) => Mixer<unknown>;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/**
 * T5: a pre-norm encoder and decoder with RMS norms and no biases; each stack learns one bias per head and bucket of
 * distances, shared by its layers. Attention logits are not scaled: instead their initial weights are, by (C·D)^−½.
 *
 * @source Raffel et al. 2020, arXiv:1910.10683, §2.1; v1.1: Shazeer 2020, arXiv:2002.05202
 */
export function t5(options: T5Options): SequenceToSequence<EncoderDecoderParams> {
  return encoderDecoder(t5Parts(options));
}

/** The parts of {@link t5}. */
export function t5Parts(options: T5Options): EncoderDecoderParts {
  const {
    vocabularySize,
    layers,
    decoderLayers = layers,
    modelWidth,
    heads,
    dropoutRate = 0,
    epsilon = 1e-6,
  } = options;
  const { headWidth = modelWidth / heads, ffnWidth = 4 * modelWidth, activation = relu, distances = {} } = options;
  requireSizes("t5", options, { vocabularySize, layers, decoderLayers, ffnWidth });
  const makeFfn: NonNullable<T5Options["ffn"]> = options.ffn ?? ((of) => mlp(of) as FeedForward<unknown>);
  const norm = rmsNorm({ epsilon });
  const sizes: AttentionOptions = {
    modelWidth,
    heads,
    headWidth,
    scale: 1,
    bias: false,
    dropoutRate,
    initial: normalInitial((modelWidth * Math.sqrt(headWidth)) ** -0.5),
    outInitial: normalInitial((heads * headWidth) ** -0.5),
  };
  const mixer = attention(sizes);
  const sourceMixer = options.sourceMixer ?? ((_, given) => attention(given) as Mixer as Mixer<unknown>);
  const ffn = makeFfn({
    modelWidth,
    ffnWidth,
    activation,
    bias: false,
    dropoutRate,
    initial: normalInitial(modelWidth ** -0.5),
    outInitial: normalInitial(ffnWidth ** -0.5),
  });
  const block = (layer: number) => preNormBlock({ modelWidth, norm, mixer: sourceMixer(layer, sizes), ffn });
  const crossBlock = preNormCrossBlock({ modelWidth, norm, mixer, cross: mixer, ffn });
  return {
    vocabularySize,
    tokens: embedding(vocabularySize, modelWidth, normalInitial(1)),
    sourceScores: t5Bias(heads, bidirectionalBuckets(distances), distances),
    targetScores: t5Bias(heads, causalBuckets(distances), distances),
    dropoutRate,
    encoder: Array.from({ length: layers }, (_, layer) => block(layer)),
    encoderNorm: norm(modelWidth),
    decoder: Array.from({ length: decoderLayers }, () => crossBlock),
    decoderNorm: norm(modelWidth),
    head: options.head ?? scaledHead(tiedHead(), modelWidth ** -0.5),
  };
}

export type T5Settings = StackSettings & { readonly decoderLayers?: number; readonly ffnWidth?: number };

export const t5Entry: EncoderDecoderEntry<"t5", T5Settings> = /* @__PURE__ */ modelEntry({
  name: "t5",
  title: "T5",
  year: 2020,
  paper:
    "Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, arXiv:1910.10683",
  summary: "pre-norm encoder and decoder with learned biases over distances",
  formula: "logits[h,t,s] += table[bucket(s − t), h]; x ← x + sublayer(rms(x))",
  cost: fullCost,
  category: "encoder-decoder",
  options: () =>
    z.strictObject({ ...stackOptions(), decoderLayers: decoderLayersOption(), ffnWidth: ffnWidthOption() }),
  make: (settings) => t5(present(settings)),
});
