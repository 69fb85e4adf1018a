import { constant, fromNumbers, type Tensor } from "@tsformers/engine";
import { z } from "zod";
import type { RandomBlocks } from "../../attention/patterns/bigbird.ts";
import { releasedBlocks } from "../../attention/patterns/bigbird-released-plan.ts";
import { bigbird } from "../../models/bigbird.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { bertLayerNames, bertSettings, maskedHeadNames, sharedOutput } from "./bert.ts";
import { activationName, count, parseConfig, standard } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import type { Format, NamedTensors, Probe } from "./format.ts";
import { arrayName, normNames } from "./names.ts";

const config = z.looseObject({
  ...bertSettings,
  hidden_act: standard(activationName, "gelu_new"),
  vocab_size: standard(count, 50_358),
  max_position_embeddings: standard(count, 4096),
  attention_type: standard(z.enum(["block_sparse", "original_full"]), "block_sparse"),
  block_size: standard(count, 64),
  num_random_blocks: standard(count, 3),
  use_bias: standard(z.boolean(), true),
  rescale_embeddings: standard(z.boolean(), false),
});

type Config = z.output<typeof config>;

/** BigBird checkpoints: masked language models, with block-sparse or with full attention. */
export const bigBird: Format = {
  modelType: "big_bird",
  architectures: ["BigBirdForMaskedLM", "BigBirdForPreTraining"],
  prefix: "bert.",
  ignored: /(\.position_ids|\.pooler\.(weight|bias)|cls\.seq_relationship\.(weight|bias))$/,
  shared: sharedOutput("bert.embeddings.word_embeddings.weight"),
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(width, vocabulary, { bias: true }) as Head);
    const model = bigbird({
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads: c.num_attention_heads,
      length: c.max_position_embeddings,
      types,
      ffnWidth: c.intermediate_size,
      activation: c.hidden_act,
      epsilon: c.layer_norm_eps,
      block: c.block_size,
      randomBlocks: (layer) => randomBlocksOf(c, layer),
      bias: c.use_bias,
      ...(c.rescale_embeddings && { scaled: true }),
      ...present({ makeView, output, padding: c.pad_token_id }),
    });
    return {
      model,
      category: "encoder",
      names: [
        arrayName("bert.embeddings.word_embeddings.weight", "tokens.weight", [vocabulary, width]),
        arrayName("bert.embeddings.position_embeddings.weight", "positions.weight", [c.max_position_embeddings, width]),
        arrayName("bert.embeddings.token_type_embeddings.weight", "types.weight", [types, width]),
        ...normNames("bert.embeddings.LayerNorm", "embeddingNorm", width),
        ...bertLayerNames("bert.encoder.layer", c.num_hidden_layers, width, c.intermediate_size, c.use_bias),
        ...maskedHeadNames(vocabulary, width, width, tied),
      ],
      length: c.max_position_embeddings,
      probe: withRandomBlocks(c, maskedLanguageModelProbe(model, types)),
    };
  },
};

/** Full attention sees all blocks; block-sparse attention those that the released code draws, layer by layer. */
function randomBlocksOf(c: Config, layer: number): RandomBlocks {
  if (c.attention_type === "original_full") {
    return (blocks) => [Array.from({ length: blocks }, () => Array.from({ length: blocks }, (_, i) => i))];
  }
  const [heads, random] = [c.num_attention_heads, c.num_random_blocks];
  return releasedBlocks({ block: c.block_size, heads, random, seed: layer, maxLength: c.max_position_embeddings });
}

/** Adds the random blocks of each layer, int32 [H, blocks − 2, r]: of all blocks of queries but the first and the last. */
function withRandomBlocks(c: Config, probe: Probe): Probe {
  return {
    ...probe,
    run: (params, inputs, context, about) => {
      const length = inputs.input_ids?.shape[1] ?? 0;
      return { ...probe.run(params, inputs, context, about), ...drawn(c, Math.ceil(length / c.block_size)) };
    },
  };
}

function drawn(c: Config, blocks: number): NamedTensors {
  if (c.attention_type === "original_full" || blocks <= 2 * c.num_random_blocks + 5) return {};
  const layers = Array.from({ length: c.num_hidden_layers }, (_, layer): [string, Tensor] => {
    const table = randomBlocksOf(c, layer)(blocks).map((rows) => rows.slice(1, blocks - 1));
    const shape = [table.length, blocks - 2, c.num_random_blocks];
    return [`rand_blocks.layer${layer}`, constant(fromNumbers(table.flat(2), shape, "int32"))];
  });
  return Object.fromEntries(layers);
}
