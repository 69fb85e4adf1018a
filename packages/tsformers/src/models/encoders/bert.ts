import { type Concrete, reshape, slice, splitKey, tanh } from "@tsformers/engine";
import * as z from "zod";
import type { makeView } from "../../attention/core/view.ts";
import { type AttentionParams, attention } from "../../attention/softmax/attention.ts";
import { type BlockParams, postNormBlock } from "../../blocks/block.ts";
import type { DepthMaker } from "../../depth/depth-entry.ts";
import type { StackParams } from "../../depth/layers.ts";
import { stacked } from "../../depth/stack.ts";
import type { Block, Depth, LayerPatterns, Mixer, Pattern, PositionScheme } from "../../kinds/index.ts";
import { embedding, paddedEmbedding } from "../../nn/embedding.ts";
import { type Activation, gelu, type MlpParams, mlp } from "../../nn/feed-forward.ts";
import type { Head } from "../../nn/head.ts";
import { normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { type MaskedHeadParams, maskedHead } from "../../nn/masked-head.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learned } from "../../position/learned.ts";
import { present } from "../../schema/present.ts";
import { type EncoderParams, type EncoderParts, encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type EncoderEntry,
  everyPart,
  ffnWidthOption,
  fullCost,
  initializerRangeOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { requireMixer } from "../sights.ts";

export type BertOptions<Mix = AttentionParams> = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  /** H, heads of the default softmax attention. */
  readonly heads: number;
  /** Positions of the learned embedding. */
  readonly length: number;
  /** Number of segments. Default: 2. */
  readonly types?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: exact GELU. */
  readonly activation?: Activation;
  /** From transformed states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
  /** A token whose embedding gets no gradient. */
  readonly padding?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Standard deviation of initial weights, but for those of given parts. Default: 0.02. */
  readonly initializerRange?: number;
  /** Default: learned positions. */
  readonly scheme?: PositionScheme;
  /** The pattern of all layers, or one per layer. Default: everything. */
  readonly pattern?: Pattern | LayerPatterns;
  /** How positions exchange information in each layer. Default: softmax attention. */
  readonly mixer?: (layer: number) => Mixer<Mix>;
  /** How the blocks follow one another. Default: {@link stacked}. */
  readonly depth?: DepthMaker;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

export type BertBlockParams<Mix = AttentionParams> = BlockParams<Mix, MlpParams>;

export type BertParams<Mix = AttentionParams> = EncoderParams<MaskedHeadParams, StackParams<BertBlockParams<Mix>>>;

export type BertPreTrainingParams<Mix = AttentionParams> = BertParams<Mix> & {
  pooler: LinearParams;
  nextSentence: LinearParams;
};

/**
 * BERT: a post-norm encoder; token, segment and learned position vectors are summed, then normalised. Masked tokens are
 * predicted by a dense layer, GELU, a norm and the tied embedding with a bias.
 *
 * @source Devlin et al. 2019, arXiv:1810.04805
 */
export function bert<Mix = AttentionParams>(options: BertOptions<Mix>): LanguageModel<BertParams<Mix>> {
  return encoder(bertParts(options));
}

/**
 * BERT as it was pre-trained: besides masked tokens it predicts whether the second segment follows the first, from the first
 * position through a dense layer and tanh (the pooler).
 */
export function bertForPreTraining<Mix = AttentionParams>(
  options: BertOptions<Mix>,
): LanguageModel<BertPreTrainingParams<Mix>> {
  return withNextSentence(bert(options), options.modelWidth);
}

/** Adds to a model of masked tokens the pooler, and logits for whether the second segment follows the first. */
export function withNextSentence<Mix>(
  model: LanguageModel<BertParams<Mix>>,
  modelWidth: number,
): LanguageModel<BertPreTrainingParams<Mix>> {
  const pooler = linear(modelWidth, modelWidth);
  const nextSentence = linear(modelWidth, 2);
  const { project: _, spans: __, trimmed: ___, ...rest } = model;
  return {
    ...rest,
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const own = { pooler: pooler.init(b!), nextSentence: nextSentence.init(c!) };
      return { ...model.init(a!), ...own } as Concrete<BertPreTrainingParams<Mix>>;
    },
    apply: (params, input, context) => {
      const out = model.apply(params, input, context);
      const first = reshape(slice(out.x, 1, 0, 1), [out.x.shape[0]!, modelWidth]);
      const pooled = tanh(pooler.apply(params.pooler, first));
      return { ...out, pooled, nextSentence: nextSentence.apply(params.nextSentence, pooled) };
    },
  };
}

/** The parts of {@link bert}. */
export function bertParts<Mix = AttentionParams>(
  options: BertOptions<Mix>,
): EncoderParts<MaskedHeadParams, StackParams<BertBlockParams<Mix>>> {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-12, types = 2 } = options;
  const { ffnWidth = 4 * modelWidth, activation = gelu, padding } = options;
  const initial = normalInitial(options.initializerRange);
  requireSizes("bert", options, { vocabularySize, layers, length, ffnWidth, types });
  const norm = layerNorm({ epsilon });
  const tokens = embedding(vocabularySize, modelWidth, initial);
  const mixer = (layer: number): Mixer<Mix> => {
    if (options.mixer === undefined)
      return attention({ modelWidth, heads, dropoutRate, initial }) as Mixer as Mixer<Mix>;
    const given = options.mixer(layer);
    requireMixer("bert", layer, given);
    return given;
  };
  const ffn = mlp({ modelWidth, ffnWidth, activation, dropoutRate, initial });
  const { arrange = postNormBlock, make } = options.depth ?? stacked;
  const blocks = Array.from({ length: layers }, (_, layer) => arrange({ modelWidth, norm, mixer: mixer(layer), ffn }));
  return {
    name: "bert",
    vocabularySize,
    width: modelWidth,
    tokens: padding === undefined ? tokens : paddedEmbedding(tokens, padding),
    types: embedding(types, modelWidth, initial),
    ...(options.scheme ?? { positions: learned(length, modelWidth, initial) }),
    ...present({ pattern: options.pattern, makeView: options.makeView }),
    embeddingNorm: norm(modelWidth),
    dropoutRate,
    depth: make(blocks as readonly Block[], { modelWidth }) as Depth<StackParams<BertBlockParams<Mix>>>,
    head: maskedHead({ ...options, initial }),
  };
}

export type BertSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly initializerRange?: number;
};

export const bertEntry: EncoderEntry<"bert", BertSettings> = /* @__PURE__ */ modelEntry({
  name: "bert",
  title: "BERT",
  year: 2019,
  paper: "Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, arXiv:1810.04805",
  summary: "post-norm encoder that fills in masked tokens; takes any mixer, pattern, position scheme and depth",
  formula: "x ← norm(x + attention(x)); x ← norm(x + mlp(x)); loss = −log p(masked tokens)",
  cost: fullCost,
  parts: everyPart,
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      initializerRange: initializerRangeOption(),
    }),
  make: (settings, parts) => bert({ ...present(settings), ...parts }),
});
