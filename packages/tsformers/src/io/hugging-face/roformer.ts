import { z } from "zod";
import { roformer as roformerModel } from "../../models/encoders/roformer.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { neighbours, rotary, rotatingValues } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";
import { bertLayerNames, bertSettings, maskedHeadNames, sharedOutput } from "./bert.ts";
import { count, parseConfig, standard } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  ...bertSettings,
  vocab_size: standard(count, 50_000),
  max_position_embeddings: standard(count, 1536),
  embedding_size: count.nullish(),
  rotary_value: standard(z.boolean(), false),
});

/** RoFormer checkpoints. */
export const roformer: Format = {
  modelType: "roformer",
  architectures: ["RoFormerForMaskedLM"],
  prefix: "roformer.",
  ignored: /encoder\.embed_positions\.weight$/,
  shared: sharedOutput("roformer.embeddings.word_embeddings.weight"),
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const embeddingWidth = c.embedding_size ?? width;
    const turn = rotary(width / c.num_attention_heads, { pairing: neighbours });
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied
      ? undefined
      : (linearHead(embeddingWidth, vocabulary, { bias: true }) as Head);
    const options = {
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      embeddingWidth,
      heads: c.num_attention_heads,
      types,
      ffnWidth: c.intermediate_size,
      activation: c.hidden_act,
      rotation: c.rotary_value ? rotatingValues(turn) : turn,
      epsilon: c.layer_norm_eps,
      ...present({ makeView, output, padding: c.pad_token_id }),
    };
    const model = roformerModel(options);
    return {
      model,
      category: "encoder",
      names: [
        arrayName("roformer.embeddings.word_embeddings.weight", "tokens.weight", [vocabulary, embeddingWidth]),
        arrayName("roformer.embeddings.token_type_embeddings.weight", "types.weight", [types, embeddingWidth]),
        ...normNames("roformer.embeddings.LayerNorm", "embeddingNorm", embeddingWidth),
        ...(embeddingWidth === width
          ? []
          : linearNames("roformer.embeddings_project", "project", embeddingWidth, width)),
        ...bertLayerNames("roformer.encoder.layer", c.num_hidden_layers, width, c.intermediate_size),
        ...maskedHeadNames(vocabulary, width, embeddingWidth, tied),
      ],
      length: c.max_position_embeddings,
      probe: maskedLanguageModelProbe(model, types),
    };
  },
};
