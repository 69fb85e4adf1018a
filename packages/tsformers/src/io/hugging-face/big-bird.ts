import { constant, fromNumbers, type Tensor } from "@tsformers/engine";
import { z } from "zod";
import type { RandomBlocks } from "../../attention/patterns/bigbird-plan.ts";
import { releasedBlocks } from "../../attention/patterns/bigbird-released-plan.ts";
import type { BertParams } from "../../models/encoders/bert.ts";
import { bigbird, bigbirdForPreTraining } from "../../models/encoders/bigbird.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { bertLayerNames, bertSettings, maskedHeadNames, sharedOutput } from "./bert.ts";
import { activationName, count, parseConfig, standard } from "./config.ts";
import { maskedLanguageModelProbe } from "./encoder-probe.ts";
import type { CaseAbout, Format, NamedTensors, Probe } from "./format.ts";
import { arrayName, linearNames, normNames } from "./names.ts";

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

/**
 * BigBird checkpoints: masked language models with block-sparse or full attention, with the next-sentence task if the file has its weights.
 *
 * Random blocks are those that the released code draws for a layer and keeps, in training and in use. transformers draws them in training
 * only; otherwise each of its random blocks is block 0. Cases that were recorded so (`call_mode` eval) are verified so.
 */
export const bigBird: Format = {
  modelType: "big_bird",
  architectures: ["BigBirdForMaskedLM", "BigBirdForPreTraining"],
  prefix: "bert.",
  ignored: /(\.position_ids|\.pooler\.(weight|bias))$/,
  shared: sharedOutput("bert.embeddings.word_embeddings.weight"),
  build: (json, { has, makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary, types] = [c.hidden_size, c.vocab_size, c.type_vocab_size];
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(width, vocabulary, { bias: true }) as Head);
    const nextSentence = has("cls.seq_relationship.weight");
    const modelWith = (randomBlocks: LayerBlocks) => {
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
        block: c.block_size,
        randomBlocks,
        bias: c.use_bias,
        ...(c.attention_type === "original_full" && { full: true as const }),
        ...(c.rescale_embeddings && { scaled: true as const }),
        ...present({ makeView, output, padding: c.pad_token_id }),
      };
      return nextSentence ? bigbirdForPreTraining(options) : bigbird(options);
    };
    const model = modelWith(releasedOf(c));
    const probeWith = (randomBlocks: LayerBlocks): Probe => {
      const model = modelWith(randomBlocks) as LanguageModel<BertParams>;
      return withRandomBlocks(c, randomBlocks, maskedLanguageModelProbe(model, types));
    };
    const [probe, inUse] = [probeWith(releasedOf(c)), probeWith(firstBlockOf(c))];
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
        ...(nextSentence ? linearNames("bert.pooler", "pooler", width, width) : []),
        ...(nextSentence ? linearNames("cls.seq_relationship", "nextSentence", width, 2) : []),
      ],
      length: c.max_position_embeddings,
      probe: {
        ...probe,
        run: (params, inputs, context, about) => (isEval(about) ? inUse : probe).run(params, inputs, context, about),
      },
    };
  },
};

/** The random blocks of each layer. */
type LayerBlocks = (layer: number) => RandomBlocks;

function releasedOf(c: Config): LayerBlocks {
  const [heads, random] = [c.num_attention_heads, c.num_random_blocks];
  return (layer) =>
    releasedBlocks({ block: c.block_size, heads, random, seed: layer, maxLength: c.max_position_embeddings });
}

/** Those of transformers outside training: block 0, each time. */
function firstBlockOf(c: Config): LayerBlocks {
  const first = new Array<number>(c.num_random_blocks).fill(0);
  return (layer) => (blocks) =>
    isShort(c, blocks)
      ? releasedOf(c)(layer)(blocks)
      : Array.from({ length: c.num_attention_heads }, () => new Array<number[]>(blocks).fill(first));
}

/** Whether so few blocks see all. */
function isShort(c: Config, blocks: number): boolean {
  return blocks <= 2 * c.num_random_blocks + 5;
}

function isEval({ call_mode: mode }: CaseAbout): boolean {
  return typeof mode === "string" && mode.startsWith("eval");
}

/** Adds the random blocks of each layer, int32 [H, blocks − 2, r]: of all blocks of queries but the first and the last. */
function withRandomBlocks(c: Config, randomBlocks: LayerBlocks, probe: Probe): Probe {
  const drawn = (blocks: number): NamedTensors => {
    if (c.attention_type === "original_full" || isShort(c, blocks)) return {};
    const layers = Array.from({ length: c.num_hidden_layers }, (_, layer): [string, Tensor] => {
      const table = randomBlocks(layer)(blocks).map((rows) => rows.slice(1, blocks - 1));
      const shape = [table.length, blocks - 2, c.num_random_blocks];
      return [`rand_blocks.layer${layer}`, constant(fromNumbers(table.flat(2), shape, "int32"))];
    });
    return Object.fromEntries(layers);
  };
  return {
    ...probe,
    run: (params, inputs, context, about) => {
      const length = inputs.input_ids?.shape[1] ?? 0;
      return { ...probe.run(params, inputs, context, about), ...drawn(Math.ceil(length / c.block_size)) };
    },
  };
}
