import { z } from "zod";
import { albert as albertModel } from "../../models/encoders/albert.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig, standard, tokenId } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 30_000),
  embedding_size: standard(count, 128),
  hidden_size: standard(count, 4096),
  num_hidden_layers: standard(layerCount, 12),
  num_hidden_groups: standard(count, 1),
  inner_group_num: only(1),
  num_attention_heads: standard(count, 64),
  intermediate_size: standard(count, 16_384),
  hidden_act: standard(activationName, "gelu_new"),
  max_position_embeddings: standard(count, 512),
  type_vocab_size: standard(count, 2),
  layer_norm_eps: standard(epsilon, 1e-12),
  pad_token_id: tokenId(0),
  tie_word_embeddings: standard(z.boolean(), true),
});

const [bias, ownBias] = ["predictions.bias", "predictions.decoder.bias"];

/** ALBERT checkpoints: masked language models. */
export const albert: Format = {
  modelType: "albert",
  architectures: ["AlbertForMaskedLM", "AlbertForPreTraining"],
  prefix: "albert.",
  ignored: /(\.position_ids|(^|\.)pooler\.(weight|bias)|sop_classifier\.classifier\.(weight|bias))$/,
  shared: [
    tiedHeadNames("albert.embeddings.word_embeddings.weight", "predictions.decoder.weight"),
    { names: [bias, ownBias], first: ownBias },
  ],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, inner, vocabulary] = [c.hidden_size, c.embedding_size, c.vocab_size];
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(inner, vocabulary, { bias: true }) as Head);
    const model = albertModel({
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads: c.num_attention_heads,
      length: c.max_position_embeddings,
      embeddingWidth: inner,
      groups: c.num_hidden_groups,
      types: c.type_vocab_size,
      ffnWidth: c.intermediate_size,
      activation: c.hidden_act,
      epsilon: c.layer_norm_eps,
      ...present({ makeView, output, padding: c.pad_token_id }),
    });
    return {
      model,
      category: "encoder",
      names: [
        arrayName("albert.embeddings.word_embeddings.weight", "tokens.weight", [vocabulary, inner]),
        arrayName("albert.embeddings.position_embeddings.weight", "positions.weight", [
          c.max_position_embeddings,
          inner,
        ]),
        arrayName("albert.embeddings.token_type_embeddings.weight", "types.weight", [c.type_vocab_size, inner]),
        ...normNames("albert.embeddings.LayerNorm", "embeddingNorm", inner),
        ...linearNames("albert.encoder.embedding_hidden_mapping_in", "project", inner, width),
        ...layerNames(c.num_hidden_groups, (i) => {
          const [theirs, ours] = [`albert.encoder.albert_layer_groups.${i}.albert_layers.0`, `blocks.${i}`];
          return [
            ...linearNames(`${theirs}.attention.query`, `${ours}.mixer.query`, width, width),
            ...linearNames(`${theirs}.attention.key`, `${ours}.mixer.key`, width, width),
            ...linearNames(`${theirs}.attention.value`, `${ours}.mixer.value`, width, width),
            ...linearNames(`${theirs}.attention.dense`, `${ours}.mixer.out`, width, width),
            ...normNames(`${theirs}.attention.LayerNorm`, `${ours}.mixerNorm`, width),
            ...linearNames(`${theirs}.ffn`, `${ours}.ffn.in`, width, c.intermediate_size),
            ...linearNames(`${theirs}.ffn_output`, `${ours}.ffn.out`, c.intermediate_size, width),
            ...normNames(`${theirs}.full_layer_layer_norm`, `${ours}.ffnNorm`, width),
          ];
        }),
        ...linearNames("predictions.dense", "head.dense", width, inner),
        ...normNames("predictions.LayerNorm", "head.norm", inner),
        ...(tied
          ? [arrayName(bias!, "head.output.bias", [vocabulary])]
          : linearNames("predictions.decoder", "head.output", inner, vocabulary)),
      ],
      length: c.max_position_embeddings,
      probe: maskedLanguageModelProbe(model, c.type_vocab_size),
    };
  },
};
