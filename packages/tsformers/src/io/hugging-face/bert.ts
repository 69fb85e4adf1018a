import { z } from "zod";
import { bertForPreTraining, bert as bertModel } from "../../models/encoders/bert.ts";
import type { Activation } from "../../nn/feed-forward.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig, standard, tokenId } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import { type Format, type SharedArray, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

/** The settings that BERT and RoFormer share, except for the numbers of tokens and positions. */
export const bertSettings: {
  readonly hidden_size: z.ZodType<number>;
  readonly num_hidden_layers: z.ZodType<number>;
  readonly num_attention_heads: z.ZodType<number>;
  readonly intermediate_size: z.ZodType<number>;
  readonly hidden_act: z.ZodType<Activation>;
  readonly layer_norm_eps: z.ZodType<number>;
  readonly type_vocab_size: z.ZodType<number>;
  readonly pad_token_id: z.ZodType<number | undefined>;
  readonly tie_word_embeddings: z.ZodType<boolean>;
  readonly is_decoder: z.ZodType<unknown>;
  readonly add_cross_attention: z.ZodType<unknown>;
} = {
  hidden_size: standard(count, 768),
  num_hidden_layers: standard(layerCount, 12),
  num_attention_heads: standard(count, 12),
  intermediate_size: standard(count, 3072),
  hidden_act: standard(activationName, "gelu"),
  layer_norm_eps: standard(epsilon, 1e-12),
  type_vocab_size: standard(count, 2),
  pad_token_id: tokenId(0),
  tie_word_embeddings: standard(z.boolean(), true),
  is_decoder: only(false),
  add_cross_attention: only(false),
};

const config = z.looseObject({
  ...bertSettings,
  vocab_size: standard(count, 30_522),
  max_position_embeddings: standard(count, 512),
  position_embedding_type: only("absolute"),
});

/** BERT checkpoints: masked language models, with the next-sentence task if the file has its weights. */
export const bert: Format = {
  modelType: "bert",
  architectures: ["BertForMaskedLM", "BertForPreTraining"],
  prefix: "bert.",
  ignored: /(\.position_ids|\.pooler\.dense\.(weight|bias))$/,
  renamed: { "LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias" },
  shared: sharedOutput("bert.embeddings.word_embeddings.weight"),
  build: (json, { has, makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(width, vocabulary, { bias: true }) as Head);
    const options = {
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads: c.num_attention_heads,
      length: c.max_position_embeddings,
      types,
      ffnWidth: c.intermediate_size,
      activation: c.hidden_act,
      epsilon: c.layer_norm_eps,
      ...present({ makeView, output, padding: c.pad_token_id }),
    };
    const nextSentence = has("cls.seq_relationship.weight");
    const model = nextSentence ? bertForPreTraining(options) : bertModel(options);
    return {
      model,
      category: "encoder",
      names: [
        arrayName("bert.embeddings.word_embeddings.weight", "tokens.weight", [vocabulary, width]),
        arrayName("bert.embeddings.position_embeddings.weight", "positions.weight", [c.max_position_embeddings, width]),
        arrayName("bert.embeddings.token_type_embeddings.weight", "types.weight", [types, width]),
        ...normNames("bert.embeddings.LayerNorm", "embeddingNorm", width),
        ...bertLayerNames("bert.encoder.layer", c.num_hidden_layers, width, c.intermediate_size),
        ...maskedHeadNames(vocabulary, width, width, tied),
        ...(nextSentence ? linearNames("bert.pooler.dense", "pooler", width, width) : []),
        ...(nextSentence ? linearNames("cls.seq_relationship", "nextSentence", width, 2) : []),
      ],
      length: c.max_position_embeddings,
      probe: maskedLanguageModelProbe(model as Parameters<typeof maskedLanguageModelProbe>[0], types),
    };
  },
};

/** Name rules of a stack of BERT's layers. */
export function bertLayerNames(
  prefix: string,
  layers: number,
  width: number,
  ffnWidth: number,
  bias = true,
): NameRule[] {
  return layerNames(layers, (i) => {
    const [theirs, ours] = [`${prefix}.${i}`, `blocks.${i}`];
    return [
      ...linearNames(`${theirs}.attention.self.query`, `${ours}.mixer.query`, width, width, bias),
      ...linearNames(`${theirs}.attention.self.key`, `${ours}.mixer.key`, width, width, bias),
      ...linearNames(`${theirs}.attention.self.value`, `${ours}.mixer.value`, width, width, bias),
      ...linearNames(`${theirs}.attention.output.dense`, `${ours}.mixer.out`, width, width),
      ...normNames(`${theirs}.attention.output.LayerNorm`, `${ours}.mixerNorm`, width),
      ...linearNames(`${theirs}.intermediate.dense`, `${ours}.ffn.in`, width, ffnWidth),
      ...linearNames(`${theirs}.output.dense`, `${ours}.ffn.out`, ffnWidth, width),
      ...normNames(`${theirs}.output.LayerNorm`, `${ours}.ffnNorm`, width),
    ];
  });
}

/** Name rules of the head for masked tokens; an untied output stores its bias with its matrix. */
export function maskedHeadNames(vocabulary: number, width: number, embeddingWidth: number, tied: boolean): NameRule[] {
  return [
    ...linearNames("cls.predictions.transform.dense", "head.dense", width, embeddingWidth),
    ...normNames("cls.predictions.transform.LayerNorm", "head.norm", embeddingWidth),
    ...(tied
      ? [arrayName("cls.predictions.bias", "head.output.bias", [vocabulary])]
      : linearNames("cls.predictions.decoder", "head.output", embeddingWidth, vocabulary)),
  ];
}

/** The arrays of that head that files may store under two names. */
export function sharedOutput(tokens: string): SharedArray[] {
  const [bias, ownBias] = ["cls.predictions.bias", "cls.predictions.decoder.bias"];
  return [tiedHeadNames(tokens, "cls.predictions.decoder.weight"), { names: [bias, ownBias], first: ownBias }];
}
