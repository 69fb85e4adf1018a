import { type Concrete, reshape, slice, splitKey, tanh } from "@tsformers/engine";
import type { makeView } from "../attention/core/view.ts";
import { attention } from "../attention/softmax/attention.ts";
import { postNormBlock } from "../blocks/block.ts";
import { embedding, paddedEmbedding } from "../nn/embedding.ts";
import { type Activation, gelu, mlp } from "../nn/feed-forward.ts";
import type { Head } from "../nn/head.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { type MaskedHeadParams, maskedHead } from "../nn/masked-head.ts";
import { layerNorm } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import { requireSizes } from "../nn/sizes.ts";
import { learned } from "../position/learned.ts";
import { type EncoderParams, type EncoderParts, encoder } from "./encoder.ts";
import type { MaskedLanguageModel } from "./masked-language-model.ts";

export type BertOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions that the learned embedding knows. */
  readonly length: number;
  /** Segments; 2 unless told. */
  readonly types?: number;
  /** 4 × modelWidth unless told. */
  readonly ffnWidth?: number;
  /** Exact GELU unless told. */
  readonly activation?: Activation;
  /** From transformed states to logits; the tied embedding with a bias unless told. */
  readonly output?: Head;
  /** A token whose look-up teaches nothing. */
  readonly padding?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  readonly look?: typeof makeView;
};

export type BertParams = {
  encoder: EncoderParams;
  masked: MaskedHeadParams;
};

export type BertPreTrainingParams = BertParams & { pooler: LinearParams; nextSentence: LinearParams };

/**
 * BERT: a post-norm encoder; token, segment and learned position vectors are summed, then normalised. Masked tokens are
 * predicted by a dense layer, GELU, a norm and the tied embedding with a bias.
 *
 * @source Devlin et al. 2019, arXiv:1810.04805
 */
export function bert(options: BertOptions): MaskedLanguageModel<BertParams> {
  const model = maskedLanguageModel(options.vocabularySize, encoder(bertParts(options)), maskedHead(options));
  return { ...model, maxLength: options.length };
}

/** An encoder and a {@link maskedHead} on top of it. */
export function maskedLanguageModel(
  vocabularySize: number,
  body: ReturnType<typeof encoder>,
  head: Head<MaskedHeadParams>,
): MaskedLanguageModel<BertParams> {
  return {
    vocabularySize,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { encoder: body.init(a!), masked: head.init(b!) } as Concrete<BertParams>;
    },
    apply: (params, input, context) => {
      const { x, hidden, maps } = body.apply(params.encoder, input, context);
      return { logits: head.apply(params.masked, x, params.encoder.tokens), hidden, maps };
    },
  };
}

/**
 * BERT as it was pre-trained: beside masked tokens it tells from the first position, through a dense layer and tanh (the
 * pooler), whether the second segment follows the first.
 */
export function bertForPreTraining(options: BertOptions): MaskedLanguageModel<BertPreTrainingParams> {
  const model = bert(options);
  const { modelWidth } = options;
  const pooler = linear(modelWidth, modelWidth);
  const nextSentence = linear(modelWidth, 2);
  return {
    vocabularySize: options.vocabularySize,
    maxLength: options.length,
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return { ...model.init(a!), pooler: pooler.init(b!), nextSentence: nextSentence.init(c!) };
    },
    apply: (params, input, context) => {
      const out = model.apply(params, input, context);
      const x = out.hidden.at(-1)!;
      const first = reshape(slice(x, 1, 0, 1), [x.shape[0]!, modelWidth]);
      const pooled = tanh(pooler.apply(params.pooler, first));
      return { ...out, pooled, nextSentence: nextSentence.apply(params.nextSentence, pooled) };
    },
  };
}

/** The parts of BERT's encoder. */
export function bertParts(options: BertOptions): EncoderParts {
  const { vocabularySize, layers, modelWidth, heads, length, dropoutRate = 0, epsilon = 1e-12, types = 2 } = options;
  const { ffnWidth = 4 * modelWidth, activation = gelu, padding } = options;
  requireSizes("bert", options, { vocabularySize, layers, length, ffnWidth, types });
  const norm = layerNorm({ epsilon });
  const tokens = embedding(vocabularySize, modelWidth);
  const block = postNormBlock({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate }),
  });
  return {
    tokens: padding === undefined ? tokens : paddedEmbedding(tokens, padding),
    types: embedding(types, modelWidth),
    positions: learned(length, modelWidth),
    embeddingNorm: norm(modelWidth),
    dropoutRate,
    blocks: Array.from({ length: layers }, () => block),
    ...present({ look: options.look }),
  };
}
