import { add, iota, mul, reshape, type Tensor, transpose } from "@tsformers/engine";
import { z } from "zod";
import { type LshAttentionParams, lshAttention } from "../../attention/lsh/lsh-attention.ts";
import { factorsOf, lshBuckets } from "../../attention/lsh/lsh-hash.ts";
import { earlierInChunks, wholeChunks } from "../../attention/lsh/lsh-reach.ts";
import { splitHeads } from "../../attention/softmax/attention.ts";
import { localAttention } from "../../attention/softmax/local-attention.ts";
import type { Mixer, PositionEmbedding } from "../../kinds/index.ts";
import { type DecoderParams, decoder } from "../../models/decoder.ts";
import { type ReformerOptions, reformer as reformerModel, reformerParts } from "../../models/decoders/reformer.ts";
import { encoder } from "../../models/encoder.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { linear } from "../../nn/linear.ts";
import { axial } from "../../position/axial.ts";
import { learned } from "../../position/learned.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, epsilon, layerCount, only, parseConfig, standard } from "./config.ts";
import { nextTokenLoss } from "./decoder-probe.ts";
import { type Format, floatInput, labelInput, maskInput, type NamedTensors, type Probe, tokenInput } from "./format.ts";
import { squeezed } from "./layout.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const kind = z.enum(["local", "lsh"]);
const pair = z.tuple([count, count]);

const config = z.looseObject({
  vocab_size: standard(count, 320),
  hidden_size: standard(count, 256),
  num_attention_heads: standard(count, 12),
  attention_head_size: standard(count, 64),
  attn_layers: standard(z.array(kind).min(1), ["local", "lsh", "local", "lsh", "local", "lsh"]),
  num_hidden_layers: layerCount.nullish(),
  feed_forward_size: standard(count, 512),
  hidden_act: standard(activationName, "relu"),
  layer_norm_eps: standard(epsilon, 1e-12),
  is_decoder: standard(z.boolean(), false),
  axial_pos_embds: standard(z.boolean(), true),
  axial_pos_shape: standard(pair, [64, 64]),
  axial_pos_embds_dim: standard(pair, [64, 192]),
  max_position_embeddings: standard(count, 4096),
  num_buckets: z.union([count, z.array(count).nonempty()]).nullish(),
  num_hashes: standard(count, 1),
  lsh_attn_chunk_length: standard(count, 64),
  lsh_num_chunks_before: standard(count, 1),
  lsh_num_chunks_after: only(0),
  local_attn_chunk_length: standard(count, 64),
  local_num_chunks_before: only(1),
  local_num_chunks_after: only(0),
  tie_word_embeddings: only(false),
  eos_token_id: endTokens(2),
});

type Config = z.output<typeof config>;

/** Reformer checkpoints: causal ones and masked language models. */
export const reformer: Format = {
  modelType: "reformer",
  architectures: ["ReformerModelWithLMHead", "ReformerForMaskedLM"],
  prefix: "reformer.",
  // transformers 5.18 stores the bias of the output and does not add it.
  ignored: /^lm_head\.(decoder\.)?bias$|self_attention\.(mask_value|self_mask_value)_float(16|32)$/,
  build: (json) => {
    const c = parseConfig(config, json);
    return {
      model: reformerModel(optionsOf(c)),
      category: c.is_decoder ? "decoder" : "encoder",
      names: namesOf(c),
      length: c.max_position_embeddings,
      endTokens: c.eos_token_id,
      probe: probe(c),
    };
  },
};

/** @param rotations of LSH layers, by layer, [H, rounds, M, D]. Default: drawn */
function optionsOf(c: Config, rotations: ReadonlyMap<number, Tensor> = new Map()): ReformerOptions {
  return {
    vocabularySize: c.vocab_size,
    layers: c.attn_layers.length,
    modelWidth: c.hidden_size,
    heads: c.num_attention_heads,
    headWidth: c.attention_head_size,
    length: c.max_position_embeddings,
    causal: c.is_decoder,
    ffnWidth: c.feed_forward_size,
    activation: c.hidden_act,
    epsilon: c.layer_norm_eps,
    positions: positionsOf(c),
    mixer: (layer) => mixerOf(c, layer, rotations.get(layer)),
  };
}

function positionsOf(c: Config): PositionEmbedding {
  if (!c.axial_pos_embds) return learned(c.max_position_embeddings, c.hidden_size) as PositionEmbedding;
  const [rows, columns] = c.axial_pos_embds_dim;
  if (rows + columns !== c.hidden_size)
    throw new Error(
      `"axial_pos_embds_dim": expected widths that add up to "hidden_size" ${c.hidden_size}, got ${rows} and ${columns}`,
    );
  return axial({ grid: c.axial_pos_shape, widths: c.axial_pos_embds_dim }) as PositionEmbedding;
}

function mixerOf(c: Config, layer: number, rotations: Tensor | undefined): Mixer {
  const sizes = {
    modelWidth: c.hidden_size,
    heads: c.num_attention_heads,
    headWidth: c.attention_head_size,
    causal: c.is_decoder,
    bias: false,
  };
  if (c.attn_layers[layer] === "local")
    return localAttention({ ...sizes, chunk: c.local_attn_chunk_length, wraps: multipleOf(c) }) as Mixer;
  const mixer = lshAttention({
    ...sizes,
    buckets: bucketsOf(c),
    rounds: rotations?.shape[1] ?? c.num_hashes,
    chunk: c.lsh_attn_chunk_length,
    chunksBack: c.lsh_num_chunks_before,
    reach: c.is_decoder ? earlierInChunks : wholeChunks,
    wraps: true,
    multiple: multipleOf(c),
    ...(rotations !== undefined && { rotations: () => rotations }),
  }) as Mixer;
  // As published: no later token is seen, though later tokens have a say in which earlier ones share a chunk.
  return c.is_decoder ? { ...mixer, sees: "earlier" } : mixer;
}

/** transformers fills sequences up to a multiple of the chunks of all layers. */
function multipleOf(c: Config): number {
  const chunks = { local: c.local_attn_chunk_length, lsh: c.lsh_attn_chunk_length };
  const [one, other] = [...new Set(c.attn_layers)].map((kind) => chunks[kind]);
  return other === undefined ? one! : leastCommonMultiple(one!, other);
}

function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}

/** As transformers counts them where the file does not say. */
function bucketsOf(c: Config): number | readonly number[] {
  if (c.num_buckets !== undefined && c.num_buckets !== null) return c.num_buckets;
  const chunks = Math.floor(c.max_position_embeddings / c.lsh_attn_chunk_length);
  const exponent = Math.max(1, Math.floor(Math.log2(Math.max(2 * chunks, 2))));
  const most = 2 * Math.max(Math.floor(Math.sqrt(chunks)), c.lsh_attn_chunk_length);
  if (2 ** exponent <= most) return 2 ** exponent;
  const first = Math.floor(exponent / 2);
  return [2 ** first, 2 ** (exponent - first)];
}

function namesOf(c: Config): NameRule[] {
  const [width, inner] = [c.hidden_size, c.num_attention_heads * c.attention_head_size];
  return [
    arrayName("reformer.embeddings.word_embeddings.weight", "tokens.weight", [c.vocab_size, width]),
    ...positionNames(c),
    ...layerNames(c.attn_layers.length, (i) => {
      const [theirs, ours] = [`reformer.encoder.layers.${i}`, `blocks.${i}`];
      const self = `${theirs}.attention.self_attention`;
      const projections =
        c.attn_layers[i] === "local"
          ? [
              ...linearNames(`${self}.query`, `${ours}.mixer.query`, width, inner, false),
              ...linearNames(`${self}.key`, `${ours}.mixer.key`, width, inner, false),
            ]
          : linearNames(`${self}.query_key`, `${ours}.mixer.queryKey`, width, inner, false);
      return [
        ...normNames(`${theirs}.attention.layer_norm`, `${ours}.mixerNorm`, width),
        ...projections,
        ...linearNames(`${self}.value`, `${ours}.mixer.value`, width, inner, false),
        ...linearNames(`${theirs}.attention.output.dense`, `${ours}.mixer.out`, inner, width, false),
        ...normNames(`${theirs}.feed_forward.layer_norm`, `${ours}.ffnNorm`, width),
        ...linearNames(`${theirs}.feed_forward.dense.dense`, `${ours}.ffn.in`, width, c.feed_forward_size),
        ...linearNames(`${theirs}.feed_forward.output.dense`, `${ours}.ffn.out`, c.feed_forward_size, width),
      ];
    }),
    ...normNames("reformer.encoder.layer_norm", "finalNorm", 2 * width),
    ...linearNames("lm_head.decoder", "head", 2 * width, c.vocab_size, false),
  ];
}

function positionNames(c: Config): NameRule[] {
  const theirs = "reformer.embeddings.position_embeddings";
  if (!c.axial_pos_embds)
    return [arrayName(`${theirs}.embedding.weight`, "positions.weight", [c.max_position_embeddings, c.hidden_size])];
  const [[rows, columns], [first, second]] = [c.axial_pos_shape, c.axial_pos_embds_dim];
  return [
    { theirs: `${theirs}.weights.0`, shape: [rows, 1, first], ours: ["positions.rows"], layout: squeezed(1) },
    {
      theirs: `${theirs}.weights.1`,
      shape: [1, columns, second],
      ours: ["positions.columns"],
      layout: squeezed(0),
    },
  ];
}

const rotationInput = /^rotations\.layer(\d+)$/;

function probe(c: Config): Probe {
  return {
    inputs: {
      input_ids: tokenInput(c.vocab_size),
      attention_mask: maskInput,
      labels: labelInput(c.vocab_size),
    },
    inputOf: (name) => (rotationInput.test(name) ? floatInput : undefined),
    run: (params, inputs, context) => {
      const { input_ids: tokens, attention_mask: mask, labels } = inputs;
      if (tokens === undefined) throw new Error("expected input_ids [B, T]");
      const rotations = rotationsOf(inputs);
      const options = optionsOf(c, rotations);
      const input = { tokens, ...present({ mask }) };
      const out = reformerModel(options).apply(params as DecoderParams, input, context);
      const loss = labels && (c.is_decoder ? nextTokenLoss(out.logits, labels) : meanCrossEntropy(out.logits, labels));
      return {
        logits: out.logits,
        hidden_last: out.x,
        ...bucketsIn(c, options, rotations, (model) => model.apply(params as DecoderParams, input, context)),
        ...present({ loss }),
      };
    },
  };
}

/** [H, D, rounds, M] there, [H, rounds, M, D] here. */
function rotationsOf(inputs: NamedTensors): ReadonlyMap<number, Tensor> {
  return new Map(
    Object.entries(inputs).flatMap(([name, tensor]) => {
      const layer = rotationInput.exec(name)?.[1];
      return layer === undefined ? [] : [[Number(layer), transpose(tensor, [0, 2, 3, 1])] as const];
    }),
  );
}

/** The buckets of each LSH layer, rounds numbered apart. The blocks run as they stand, since reversible ones keep nothing to look at. */
function bucketsIn(
  c: Config,
  options: ReformerOptions,
  rotations: ReadonlyMap<number, Tensor>,
  run: (model: LanguageModel<DecoderParams>) => unknown,
): NamedTensors {
  const found: Record<string, Tensor> = {};
  const project = linear(c.hidden_size, c.num_attention_heads * c.attention_head_size, { bias: false });
  const each = factorsOf(bucketsOf(c)).reduce((a, b) => a * b);
  const watched = (layer: number): Mixer => {
    const mixer = options.mixer!(layer);
    const frame = rotations.get(layer);
    if (frame === undefined) return mixer;
    return {
      ...mixer,
      apply: (params, input, context) => {
        const { queryKey } = params as LshAttentionParams;
        const raw = splitHeads(project.apply(queryKey, input.x), c.num_attention_heads);
        const { keyMask } = input.view;
        const own = lshBuckets(raw, frame, bucketsOf(c), keyMask);
        const rounds = frame.shape[1]!;
        const count = keyMask === undefined ? each : each + 1;
        found[`buckets.layer${layer}`] = add(own, mul(reshape(iota(rounds), [1, 1, rounds, 1]), count));
        return mixer.apply(params, input, context);
      },
    };
  };
  const { head, ...parts } = reformerParts({ ...options, mixer: watched, keepsStreams: true });
  const model = c.is_decoder ? decoder({ ...parts, head: head! }) : encoder({ ...parts, head: head! });
  run(model);
  return found;
}
