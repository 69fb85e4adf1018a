import { z } from "zod";
import { bertForPreTraining, bertParts, maskedLanguageModel } from "../../models/bert.ts";
import { encoder } from "../../models/encoder.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { maskedHead } from "../../nn/masked-head.ts";
import { present } from "../../nn/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

/** The settings that BERT and RoFormer share. */
export const bertSettings: {
  readonly vocab_size: z.ZodNumber;
  readonly hidden_size: z.ZodNumber;
  readonly num_hidden_layers: z.ZodNumber;
  readonly num_attention_heads: z.ZodNumber;
  readonly intermediate_size: z.ZodNumber;
  readonly hidden_act: z.ZodDefault<typeof activationName>;
  readonly layer_norm_eps: z.ZodDefault<z.ZodNumber>;
  readonly type_vocab_size: z.ZodDefault<z.ZodNumber>;
  readonly pad_token_id: z.ZodDefault<z.ZodNullable<z.ZodInt>>;
  readonly tie_word_embeddings: z.ZodDefault<z.ZodBoolean>;
  readonly is_decoder: ReturnType<typeof only>;
  readonly add_cross_attention: ReturnType<typeof only>;
} = {
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  intermediate_size: count,
  hidden_act: activationName.default("gelu" as never),
  layer_norm_eps: epsilon.default(1e-12),
  type_vocab_size: count.default(2),
  pad_token_id: z.int().nullable().default(0),
  tie_word_embeddings: z.boolean().default(true),
  is_decoder: only(false),
  add_cross_attention: only(false),
};

const config = z.looseObject({
  ...bertSettings,
  max_position_embeddings: count,
  position_embedding_type: only("absolute"),
});

/** BERT checkpoints: masked language models, with the next-sentence task where the file has its weights. */
export const bert: Format = {
  modelType: "bert",
  architectures: ["BertForMaskedLM", "BertForPreTraining"],
  build: (json, { arrays, look }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const padding = c.pad_token_id ?? -1;
    const output: Head | undefined = c.tie_word_embeddings
      ? undefined
      : (linearHead(width, vocabulary, { bias: true }) as Head);
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
      ...present({ look, output, padding: padding < 0 ? undefined : padding }),
    };
    const nextSentence = arrays.has("cls.seq_relationship.weight");
    const model = nextSentence
      ? bertForPreTraining(options)
      : maskedLanguageModel(vocabulary, encoder(bertParts(options)), maskedHead(options));
    return {
      model,
      names: [
        arrayName("bert.embeddings.word_embeddings.weight", "encoder.tokens.weight", [vocabulary, width]),
        arrayName("bert.embeddings.position_embeddings.weight", "encoder.positions.weight", [
          c.max_position_embeddings,
          width,
        ]),
        arrayName("bert.embeddings.token_type_embeddings.weight", "encoder.types.weight", [types, width]),
        ...normNames("bert.embeddings.LayerNorm", "encoder.embeddingNorm", width),
        ...bertLayerNames("bert.encoder.layer", c.num_hidden_layers, width, c.intermediate_size),
        ...maskedHeadNames(vocabulary, width, width, c.tie_word_embeddings),
        ...(nextSentence ? linearNames("bert.pooler.dense", "pooler", width, width) : []),
        ...(nextSentence ? linearNames("cls.seq_relationship", "nextSentence", width, 2) : []),
      ],
      prefix: "bert.",
      ignored: /(\.position_ids|cls\.predictions\.bias)$/,
      tied: tiedOutput("bert.embeddings.word_embeddings.weight", c.tie_word_embeddings),
      renamed: { "LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias" },
      probe: maskedLanguageModelProbe(model as Parameters<typeof maskedLanguageModelProbe>[0], types),
    };
  },
};

/** The names of a stack of BERT's layers. */
export function bertLayerNames(prefix: string, layers: number, width: number, ffnWidth: number): NameRule[] {
  return layerNames(layers, (i) => {
    const [theirs, ours] = [`${prefix}.${i}`, `encoder.blocks.${i}`];
    return [
      ...linearNames(`${theirs}.attention.self.query`, `${ours}.mixer.query`, width, width),
      ...linearNames(`${theirs}.attention.self.key`, `${ours}.mixer.key`, width, width),
      ...linearNames(`${theirs}.attention.self.value`, `${ours}.mixer.value`, width, width),
      ...linearNames(`${theirs}.attention.output.dense`, `${ours}.mixer.out`, width, width),
      ...normNames(`${theirs}.attention.output.LayerNorm`, `${ours}.mixerNorm`, width),
      ...linearNames(`${theirs}.intermediate.dense`, `${ours}.ffn.in`, width, ffnWidth),
      ...linearNames(`${theirs}.output.dense`, `${ours}.ffn.out`, ffnWidth, width),
      ...normNames(`${theirs}.output.LayerNorm`, `${ours}.ffnNorm`, width),
    ];
  });
}

/** The names of the head for masked tokens; an untied output keeps its bias with its matrix. */
export function maskedHeadNames(vocabulary: number, width: number, embeddingWidth: number, tied: boolean): NameRule[] {
  return [
    ...linearNames("cls.predictions.transform.dense", "masked.dense", width, embeddingWidth),
    ...normNames("cls.predictions.transform.LayerNorm", "masked.norm", embeddingWidth),
    ...(tied
      ? [arrayName("cls.predictions.bias", "masked.output.bias", [vocabulary])]
      : linearNames("cls.predictions.decoder", "masked.output", embeddingWidth, vocabulary)),
  ];
}

export function tiedOutput(tokens: string, tied: boolean): Record<string, string> {
  return tied
    ? { "cls.predictions.decoder.weight": tokens, "cls.predictions.decoder.bias": "cls.predictions.bias" }
    : {};
}
