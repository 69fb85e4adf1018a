import type { LayerPatterns } from "../attention/patterns/index.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { attention } from "../attention/softmax/attention.ts";
import { preNormBlock } from "../blocks/block.ts";
import type { LayerPositions, Mixer, PositionEmbedding, QkTransform, ScoreMod } from "../kinds/index.ts";
import { embedding } from "../nn/embedding.ts";
import { type Activation, geluTanh, mlp } from "../nn/feed-forward.ts";
import { normalInitial } from "../nn/initial.ts";
import { layerNorm } from "../nn/norm.ts";
import { requireSizes } from "../nn/sizes.ts";
import { learned } from "../position/learned.ts";
import { type DecoderParams, type DecoderParts, decoder } from "./decoder.ts";
import type { LanguageModel } from "./language-model.ts";
import { requireMixer } from "./sights.ts";

/** A way to tell a decoder about positions: vectors added to the inputs, a change of the logits, or of queries and keys. */
export type PositionScheme = {
  readonly positions?: PositionEmbedding;
  readonly scores?: ScoreMod;
  readonly rotation?: QkTransform;
  readonly layerPositions?: LayerPositions;
};

export type GptOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  /** Of softmax attention; a mixer brings its own. */
  readonly heads: number;
  /** Positions that the learned embedding knows. */
  readonly length: number;
  /** 4 × modelWidth unless told. */
  readonly ffnWidth?: number;
  /** tanh GELU unless told. */
  readonly activation?: Activation;
  /** Factor of the logits of softmax attention in a layer, not to be given with a mixer. Default: 1/√headWidth. */
  readonly scale?: (layer: number) => number;
  /** Of embeddings, softmax attention and feed-forward networks; a mixer brings its own. Default: 0. */
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Learned positions unless told. */
  readonly scheme?: PositionScheme;
  /** What all layers see, or each, cut to what came before: {@link DecoderParts.pattern}. */
  readonly pattern?: Pattern | LayerPatterns;
  /** How positions exchange information in each layer; must be causal. Default: softmax attention. */
  readonly mixer?: (layer: number) => Mixer;
};

/**
 * GPT-2: a pre-norm decoder with learned positions, tanh GELU and tied embeddings.
 *
 * Residual projections start smaller by √(2N), so that the residual stream keeps its scale with depth.
 *
 * @source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"
 */
export function gpt(options: GptOptions): LanguageModel<DecoderParams> {
  return decoder(gptParts(options));
}

/** The parts of which {@link gpt} is put together. */
export function gptParts(options: GptOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, activation = geluTanh, scale = () => (modelWidth / heads) ** -0.5 } = options;
  requireSizes("gpt", options, { vocabularySize, layers, length, ffnWidth });
  if (options.mixer !== undefined && options.scale !== undefined) {
    throw new TypeError("gpt: scale is that of softmax attention; a mixer has its own, so give one of the two");
  }
  const mixer = (layer: number): Mixer => {
    if (options.mixer === undefined) {
      return attention({ modelWidth, heads, scale: scale(layer), dropoutRate, outInitial });
    }
    const given = options.mixer(layer);
    requireMixer("gpt", layer, given);
    return given;
  };
  const norm = layerNorm({ epsilon });
  const outInitial = normalInitial(0.02 / Math.sqrt(2 * layers));
  const ffn = mlp({ modelWidth, ffnWidth, activation, dropoutRate, outInitial });
  return {
    vocabularySize,
    tokens: embedding(vocabularySize, modelWidth),
    ...(options.scheme ?? { positions: learned(length, modelWidth) }),
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    dropoutRate,
    blocks: Array.from({ length: layers }, (_, layer) => preNormBlock({ modelWidth, norm, mixer: mixer(layer), ffn })),
    finalNorm: norm(modelWidth),
  };
}
