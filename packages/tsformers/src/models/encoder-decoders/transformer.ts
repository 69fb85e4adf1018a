import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import { type Block, type BlockParts, postNormBlock, preNormBlock } from "../../blocks/block.ts";
import {
  type CrossBlock,
  type CrossBlockParts,
  postNormCrossBlock,
  preNormCrossBlock,
} from "../../blocks/cross-block.ts";
import { embedding, scaledEmbedding } from "../../nn/embedding.ts";
import { type Activation, mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireCounts, requireSizes } from "../../nn/sizes.ts";
import { sinusoidal } from "../../position/sinusoidal.ts";
import { present } from "../../schema/present.ts";
import {
  type EncoderDecoderParams,
  type EncoderDecoderParts,
  encoderDecoder,
  type StacksParts,
} from "../encoder-decoder.ts";
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

/** Placement of the norms in both stacks. */
export type Arrangement = {
  readonly block: <Mix, Ffn>(parts: BlockParts<Mix, Ffn>) => Block;
  readonly crossBlock: <Mix, Cross, Ffn>(parts: CrossBlockParts<Mix, Cross, Ffn>) => CrossBlock;
  /** Whether a norm follows the last layer of each stack. */
  readonly finalNorms: boolean;
};

/** The arrangement of the paper: a norm after each residual sum. */
export const postNorm: Arrangement = { block: postNormBlock, crossBlock: postNormCrossBlock, finalNorms: false };

/** The arrangement of the paper's later code: a norm before each sublayer, and a final norm. */
export const preNorm: Arrangement = { block: preNormBlock, crossBlock: preNormCrossBlock, finalNorms: true };

export type StackOptions = {
  readonly layers: number;
  /** Default: `layers`. */
  readonly decoderLayers?: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: {@link postNorm}. */
  readonly arrangement?: Arrangement;
  /** Default: ReLU. */
  readonly activation?: Activation;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

export type TransformerOptions = StackOptions & { readonly vocabularySize: number };

/**
 * The Transformer: an encoder and a decoder; embeddings × √C plus sinusoids; one matrix for source, target and output.
 *
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3, arXiv:1706.03762
 * @differs linear layers are initialised Glorot-uniform as in Tensor2Tensor; the paper does not say
 */
export function transformer(options: TransformerOptions): SequenceToSequence<EncoderDecoderParams> {
  return encoderDecoder(transformerParts(options));
}

/** The parts of {@link transformer}. */
export function transformerParts(options: TransformerOptions): EncoderDecoderParts {
  const { vocabularySize, modelWidth, dropoutRate = 0 } = options;
  const stacks = transformerStacks(options);
  requireCounts("transformer", { vocabularySize });
  const positions = sinusoidal(modelWidth);
  return {
    vocabularySize,
    tokens: scaledEmbedding(
      embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5)),
      Math.sqrt(modelWidth),
    ),
    sourcePositions: positions,
    targetPositions: positions,
    dropoutRate,
    ...stacks,
  };
}

/** The two stacks without embeddings and output, over vectors. */
export function transformerStacks(options: StackOptions): StacksParts {
  const { layers, decoderLayers = layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5 } = options;
  const { ffnWidth = 4 * modelWidth, activation = relu, arrangement = postNorm } = options;
  requireSizes("transformer", options, { layers, decoderLayers, ffnWidth });
  const norm = layerNorm({ epsilon });
  const initial = glorotUniform();
  const mixer = attention({ modelWidth, heads, dropoutRate, initial });
  const ffn = mlp({ modelWidth, ffnWidth, activation, dropoutRate, initial });
  const block = arrangement.block({ modelWidth, norm, mixer, ffn });
  const crossBlock = arrangement.crossBlock({ modelWidth, norm, mixer, cross: mixer, ffn });
  return {
    encoder: Array.from({ length: layers }, () => block),
    decoder: Array.from({ length: decoderLayers }, () => crossBlock),
    ...(arrangement.finalNorms && { encoderNorm: norm(modelWidth), decoderNorm: norm(modelWidth) }),
  };
}

export type TransformerSettings = StackSettings & { readonly decoderLayers?: number; readonly ffnWidth?: number };

export const transformerEntry: EncoderDecoderEntry<"transformer", TransformerSettings> = /* @__PURE__ */ modelEntry({
  name: "transformer",
  title: "Transformer",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "the original: a post-norm encoder and decoder with sinusoidal positions",
  formula: "attention(Q, K, V) = softmax(Q·Kᵀ/√D)·V; x ← norm(x + sublayer(x))",
  cost: fullCost,
  category: "encoder-decoder",
  options: () =>
    z.strictObject({ ...stackOptions(), decoderLayers: decoderLayersOption(), ffnWidth: ffnWidthOption() }),
  make: (settings) => transformer(present(settings)),
});
