import { z } from "zod";
import { maskedLanguageModel } from "../../models/bert.ts";
import { encoder } from "../../models/encoder.ts";
import { roformerParts } from "../../models/roformer.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { maskedHead } from "../../nn/masked-head.ts";
import { present } from "../../nn/present.ts";
import { neighbours, rotary, rotatingValues } from "../../position/rotary.ts";
import { bertLayerNames, bertSettings, maskedHeadNames, tiedOutput } from "./bert.ts";
import { count, parseConfig } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  ...bertSettings,
  embedding_size: count.nullish(),
  rotary_value: z.boolean().default(false),
});

/** RoFormer checkpoints. */
export const roformer: Format = {
  modelType: "roformer",
  architectures: ["RoFormerForMaskedLM"],
  build: (json, { look }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const embeddingWidth = c.embedding_size ?? width;
    const padding = c.pad_token_id ?? -1;
    const turn = rotary(width / c.num_attention_heads, { pairing: neighbours });
    const output: Head | undefined = c.tie_word_embeddings
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
      ...present({ look, output, padding: padding < 0 ? undefined : padding }),
    };
    const model = maskedLanguageModel(vocabulary, encoder(roformerParts(options)), maskedHead(options));
    return {
      model,
      names: [
        arrayName("roformer.embeddings.word_embeddings.weight", "encoder.tokens.weight", [vocabulary, embeddingWidth]),
        arrayName("roformer.embeddings.token_type_embeddings.weight", "encoder.types.weight", [types, embeddingWidth]),
        ...normNames("roformer.embeddings.LayerNorm", "encoder.embeddingNorm", embeddingWidth),
        ...(embeddingWidth === width
          ? []
          : linearNames("roformer.embeddings_project", "encoder.project", embeddingWidth, width)),
        ...bertLayerNames("roformer.encoder.layer", c.num_hidden_layers, width, c.intermediate_size),
        ...maskedHeadNames(vocabulary, width, embeddingWidth, c.tie_word_embeddings),
      ],
      prefix: "roformer.",
      ignored: /(encoder\.embed_positions\.weight|cls\.predictions\.bias)$/,
      tied: tiedOutput("roformer.embeddings.word_embeddings.weight", c.tie_word_embeddings),
      probe: maskedLanguageModelProbe(model, types),
    };
  },
};
