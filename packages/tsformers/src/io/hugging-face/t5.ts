import { iota, type Tensor, zeros } from "@tsformers/engine";
import { z } from "zod";
import type { ScoreMod } from "../../kinds/index.ts";
import { type EncoderDecoderParts, encoderDecoder } from "../../models/encoder-decoder.ts";
import { longT5Parts } from "../../models/encoder-decoders/longt5.ts";
import { type T5Options, t5Parts } from "../../models/encoder-decoders/t5.ts";
import type { SequenceToSequence } from "../../models/sequence-to-sequence.ts";
import { type Activation, type FeedForward, type FeedForwardOptions, gatedMlp, mlp } from "../../nn/feed-forward.ts";
import { type Head, linearHead, scaledHead, tiedHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { FileError } from "../file-error.ts";
import {
  activationName,
  configFile,
  count,
  endTokens,
  epsilon,
  layerCount,
  only,
  parseConfig,
  standard,
  tokenId,
} from "./config.ts";
import { numbered, weightsOf } from "./decoder-probe.ts";
import type { Architecture, BuildOptions, Format, Probe } from "./format.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";
import { sequenceToSequenceInputs, sequenceToSequencePass } from "./sequence-to-sequence-probe.ts";

/** The settings that T5 and LongT5 have in common. */
const settings = {
  vocab_size: standard(count, 32_128),
  d_model: standard(count, 512),
  d_kv: standard(count, 64),
  d_ff: standard(count, 2048),
  num_layers: standard(layerCount, 6),
  num_decoder_layers: layerCount.nullish(),
  num_heads: standard(count, 8),
  relative_attention_num_buckets: standard(z.int().min(4).max(65_536), 32),
  relative_attention_max_distance: standard(z.int().min(2).max(65_536), 128),
  layer_norm_epsilon: standard(epsilon, 1e-6),
  feed_forward_proj: standard(z.string(), "relu"),
  tie_word_embeddings: standard(z.boolean(), true),
  scale_decoder_outputs: z.boolean().nullish(),
  decoder_start_token_id: tokenId(null),
  pad_token_id: tokenId(0),
  eos_token_id: endTokens(1),
  is_decoder: only(false),
};

const config = z.looseObject(settings);

const longConfig = z.looseObject({
  ...settings,
  encoder_attention_type: standard(z.enum(["local", "transient-global"]), "local"),
  local_radius: standard(count, 127),
  global_block_size: standard(count, 16),
});

const aliases = {
  hidden_size: "d_model",
  num_attention_heads: "num_heads",
  num_hidden_layers: "num_layers",
  head_dim: "d_kv",
};

/** What files of both call things that are not parameters of their own. */
const otherNames: Pick<Format, "ignored" | "shared"> = {
  ignored: /EncDecAttention\.relative_attention_bias\.weight$/,
  shared: [
    {
      names: ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"],
      head: "lm_head.weight",
    },
  ],
};

/** T5 and T5 v1.1 checkpoints. The output is tied if the file has no separate matrix for it. */
export const t5: Format = {
  modelType: "t5",
  architectures: ["T5ForConditionalGeneration"],
  ...otherNames,
  build: (json, options) => architecture(parseConfig(config, json, aliases), options, plain),
};

/** LongT5 checkpoints, with local or with transient-global attention. Unless settings tie it to the embedding, the output has its own matrix. */
export const longT5: Format = {
  modelType: "longt5",
  architectures: ["LongT5ForConditionalGeneration"],
  ...otherNames,
  build: (json, { ownHead, ...options }) => {
    const c = parseConfig(longConfig, json, aliases);
    const { encoder_attention_type: attention, local_radius: radius, global_block_size: block } = c;
    const isLocal = attention === "local";
    return architecture(
      c,
      { ...options, ownHead: ownHead || !c.tie_word_embeddings },
      {
        parts: (given) => longT5Parts({ ...given, attention, radius, block }),
        attention: isLocal ? "LocalSelfAttention" : "TransientGlobalSelfAttention",
        names: (layer, theirs, ours) => [
          ...(isLocal ? [] : normNames(`${theirs}.global_input_layer_norm`, `${ours}.globalNorm`, c.d_model, false)),
          ...(isLocal || layer > 0 ? [] : [globalBias(theirs, ours, c)]),
        ],
        // What stands at padding is another implementation's own affair: nothing looks at it.
        realOf: (result) => (result.startsWith("enc_hidden") ? "attention_mask" : undefined),
      },
    );
  },
};

function globalBias(theirs: string, ours: string, c: z.output<typeof longConfig>): NameRule {
  const shape = [c.relative_attention_num_buckets, c.num_heads];
  return arrayName(`${theirs}.global_relative_attention_bias.weight`, `${ours}.globalBias.weight`, shape);
}

/** What an encoder of T5's kind is, besides what the settings say. */
type Encoder = {
  parts(options: T5Options): EncoderDecoderParts;
  /** Its attention, as files call it. */
  readonly attention: string;
  /** Further parameters of a layer's attention: their names in files and ours. */
  names(layer: number, theirs: string, ours: string): NameRule[];
  readonly realOf?: NonNullable<Probe["realOf"]>;
};

const plain: Encoder = { parts: t5Parts, attention: "SelfAttention", names: () => [] };

function architecture(
  c: z.output<z.ZodObject<typeof settings>>,
  { makeView, ownHead }: Pick<BuildOptions, "makeView" | "ownHead">,
  encoder: Encoder,
): Architecture {
  const [width, vocabulary, inner] = [c.d_model, c.vocab_size, c.num_heads * c.d_kv];
  const { ffn, activation, gated } = feedForwardOf(c.feed_forward_proj);
  const head: Head = (ownHead ? linearHead(width, vocabulary) : tiedHead()) as Head;
  const distances = { buckets: c.relative_attention_num_buckets, maxDistance: c.relative_attention_max_distance };
  const parts = encoder.parts({
    vocabularySize: vocabulary,
    layers: c.num_layers,
    decoderLayers: c.num_decoder_layers ?? c.num_layers,
    modelWidth: width,
    heads: c.num_heads,
    headWidth: c.d_kv,
    ffnWidth: c.d_ff,
    ffn,
    activation,
    distances,
    head: (c.scale_decoder_outputs ?? c.tie_word_embeddings) ? scaledHead(head, width ** -0.5) : head,
    epsilon: c.layer_norm_epsilon,
  });
  const model = encoderDecoder({ ...parts, ...present({ makeView }) });
  const attentionNames = (theirs: string, ours: string): NameRule[] => [
    ...linearNames(`${theirs}.q`, `${ours}.query`, width, inner, false),
    ...linearNames(`${theirs}.k`, `${ours}.key`, width, inner, false),
    ...linearNames(`${theirs}.v`, `${ours}.value`, width, inner, false),
    ...linearNames(`${theirs}.o`, `${ours}.out`, inner, width, false),
  ];
  const ffnNames = (theirs: string, ours: string): NameRule[] => [
    ...(gated ? linearNames(`${theirs}.wi_0`, `${ours}.gate`, width, c.d_ff, false) : []),
    ...linearNames(gated ? `${theirs}.wi_1` : `${theirs}.wi`, `${ours}.in`, width, c.d_ff, false),
    ...linearNames(`${theirs}.wo`, `${ours}.out`, c.d_ff, width, false),
  ];
  const biasOf = (attention: string) => `block.0.layer.0.${attention}.relative_attention_bias.weight`;
  const start = c.decoder_start_token_id ?? c.pad_token_id ?? 0;
  return {
    model,
    category: "encoder-decoder",
    names: [
      arrayName("shared.weight", "tokens.weight", [vocabulary, width]),
      arrayName(`encoder.${biasOf(encoder.attention)}`, "sourceScores.weight", [distances.buckets, c.num_heads]),
      ...layerNames(c.num_layers, (i) => {
        const [theirs, ours] = [`encoder.block.${i}.layer`, `encoder.blocks.${i}`];
        return [
          ...normNames(`${theirs}.0.layer_norm`, `${ours}.mixerNorm`, width, false),
          ...attentionNames(`${theirs}.0.${encoder.attention}`, `${ours}.mixer`),
          ...encoder.names(i, `${theirs}.0.${encoder.attention}`, `${ours}.mixer`),
          ...normNames(`${theirs}.1.layer_norm`, `${ours}.ffnNorm`, width, false),
          ...ffnNames(`${theirs}.1.DenseReluDense`, `${ours}.ffn`),
        ];
      }),
      ...normNames("encoder.final_layer_norm", "encoder.finalNorm", width, false),
      arrayName(`decoder.${biasOf("SelfAttention")}`, "targetScores.weight", [distances.buckets, c.num_heads]),
      ...layerNames(c.num_decoder_layers ?? c.num_layers, (i) => {
        const [theirs, ours] = [`decoder.block.${i}.layer`, `decoder.blocks.${i}`];
        return [
          ...normNames(`${theirs}.0.layer_norm`, `${ours}.mixerNorm`, width, false),
          ...attentionNames(`${theirs}.0.SelfAttention`, `${ours}.mixer`),
          ...normNames(`${theirs}.1.layer_norm`, `${ours}.crossNorm`, width, false),
          ...attentionNames(`${theirs}.1.EncDecAttention`, `${ours}.cross`),
          ...normNames(`${theirs}.2.layer_norm`, `${ours}.ffnNorm`, width, false),
          ...ffnNames(`${theirs}.2.DenseReluDense`, `${ours}.ffn`),
        ];
      }),
      ...normNames("decoder.final_layer_norm", "decoder.finalNorm", width, false),
      ...(ownHead ? linearNames("lm_head", "head", width, vocabulary, false) : []),
    ],
    length: 512,
    endTokens: c.eos_token_id,
    startToken: start,
    probe: probe(model, {
      start,
      padding: c.pad_token_id ?? 0,
      heads: c.num_heads,
      ...present({ realOf: encoder.realOf }),
      ...parts,
    }),
  };
}

/** Parses "relu", "gated-gelu", …; "gated-gelu" means the tanh GELU. */
function feedForwardOf(text: string): {
  ffn: (options: FeedForwardOptions) => FeedForward<unknown>;
  activation: Activation;
  gated: boolean;
} {
  const gated = text.startsWith("gated-");
  const name = text === "gated-gelu" ? "gelu_new" : text.replace(/^gated-/, "");
  const activation = activationName.safeParse(name);
  if (!activation.success)
    throw new FileError(
      configFile,
      `"feed_forward_proj": ${activation.error.issues[0]!.message}, got ${JSON.stringify(text)}`,
    );
  return {
    gated,
    activation: activation.data,
    ffn: (gated ? gatedMlp : mlp) as (options: FeedForwardOptions) => FeedForward<unknown>,
  };
}

type ProbeOptions = {
  readonly realOf?: NonNullable<Probe["realOf"]>;
  readonly start: number;
  readonly padding: number;
  readonly heads: number;
  readonly sourceScores?: ScoreMod;
  readonly targetScores?: ScoreMod;
};

function probe<Params>(model: SequenceToSequence<Params>, options: ProbeOptions): Probe {
  return {
    inputs: sequenceToSequenceInputs(model.vocabularySize),
    ...present({ realOf: options.realOf }),
    run: (params, inputs, context) => {
      const { encoded, tokens, results } = sequenceToSequencePass(model, params, inputs, options, context);
      const own = params as { sourceScores: unknown; targetScores: unknown };
      const sourceLength = encoded.memory.shape[1]!;
      return {
        ...results,
        ...numbered("enc_attn", weightsOf(encoded.maps)),
        enc_bias: biasOf(options.sourceScores!, own.sourceScores, options.heads, sourceLength),
        dec_bias: biasOf(options.targetScores!, own.targetScores, options.heads, tokens.shape[1]!),
      };
    },
  };
}

/** The bias that a score modification adds to the logits of one row, [1, H, T, T]. */
function biasOf(scores: ScoreMod, params: unknown, heads: number, length: number): Tensor {
  const at = iota(length);
  const none = zeros([1, heads, length, 1]);
  const score = scores.prepare(params, { query: at, key: at });
  return score.logits(zeros([1, heads, length, length]), { query: none, key: none, scale: 1 });
}
