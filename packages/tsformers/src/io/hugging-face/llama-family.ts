import * as z from "zod";
import { type DecoderParts, decoder } from "../../models/decoder.ts";
import type { LlamaOptions } from "../../models/decoders/llama.ts";
import { paddedEmbedding } from "../../nn/embedding.ts";
import { type Head, linearHead, tiedHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, epsilon, layerCount, parseConfig, standard, tokenId } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";
import { ropeOf, ropeSettings } from "./rope.ts";

/** What a family publishes for settings that a file leaves out. */
export type FamilyDefaults = {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly pad_token_id: number | null;
  readonly eos_token_id: number | null;
  readonly tie_word_embeddings: boolean;
  /** A file's null means as many as heads of queries. Default: the same. */
  readonly num_key_value_heads?: number;
  /** Default: hidden_size / num_attention_heads. */
  readonly head_dim?: number;
  /** The share of a head's features that is rotated. Default: 1. */
  readonly partial_rotary_factor?: number;
};

/** Settings that Llama and its relatives share. */
function sharedConfig(defaults: FamilyDefaults) {
  const { num_key_value_heads: keyValueHeads, head_dim: headWidth } = defaults;
  return z.looseObject({
    ...ropeSettings,
    vocab_size: standard(count, defaults.vocab_size),
    hidden_size: standard(count, defaults.hidden_size),
    num_hidden_layers: standard(layerCount, defaults.num_hidden_layers),
    num_attention_heads: standard(count, defaults.num_attention_heads),
    num_key_value_heads: keyValueHeads === undefined ? count.nullish() : count.nullable().default(keyValueHeads),
    head_dim: headWidth === undefined ? count.nullish() : standard(count, headWidth),
    intermediate_size: standard(count, defaults.intermediate_size),
    rms_norm_eps: standard(epsilon, defaults.rms_norm_eps),
    max_position_embeddings: standard(z.number().positive(), defaults.max_position_embeddings),
    hidden_act: standard(activationName, "silu"),
    attention_bias: standard(z.boolean(), false),
    pad_token_id: tokenId(defaults.pad_token_id),
    eos_token_id: endTokens(defaults.eos_token_id),
    tie_word_embeddings: standard(z.boolean(), defaults.tie_word_embeddings),
  });
}

/** The options of a model that the shared settings give. */
export type FamilyOptions = Required<
  Omit<LlamaOptions, "mixer" | "norm" | "dropoutRate" | "ffnBias"> & {
    readonly rotary: NonNullable<LlamaOptions["rotary"]>;
  }
>;

/** A relative of Llama: what its checkpoints add. */
export type Family<Own> = {
  readonly modelType: string;
  readonly architecture: string;
  readonly defaults: FamilyDefaults;
  /** Its own settings. */
  readonly config: z.ZodType<Own>;
  parts(options: FamilyOptions, own: Own): DecoderParts;
  /** What the output does with logits. Default: nothing. */
  head?(head: Head, own: Own): Head;
  /** Arrays of a layer beside those of its mixer's projections and its feed-forward network. Default: the two norms of Llama. */
  readonly layer?: (theirs: string, ours: string, options: FamilyOptions, own: Own, layer: number) => NameRule[];
  /** Arrays of the projections of a layer's mixer. Default: {@link attentionNames}. */
  readonly mixer?: (theirs: string, ours: string, options: FamilyOptions, own: Own, layer: number) => NameRule[];
  /** The only layer whose attention map the reference tells, as `attn_full`. Default: it tells all. */
  mapOf?(own: Own, layers: number): number | undefined;
  /** Whether the feed-forward network has biases. Default: it has none. */
  ffnBias?(own: Own): boolean;
};

/** The checkpoints of a relative of Llama. */
export function llamaRelative<Own>(family: Family<Own>): Format {
  const shared = sharedConfig(family.defaults);
  return {
    modelType: family.modelType,
    architectures: [family.architecture],
    prefix: "model.",
    ignored: /\.rotary_emb\.inv_freq$/,
    shared: [tiedHeadNames("model.embed_tokens.weight")],
    build: (json, { makeView, ownHead }) => {
      const c = parseConfig(shared, json);
      const own = parseConfig(family.config, json);
      const [vocabularySize, modelWidth, heads] = [c.vocab_size, c.hidden_size, c.num_attention_heads];
      const headWidth = c.head_dim ?? modelWidth / heads;
      const options: FamilyOptions = {
        vocabularySize,
        layers: c.num_hidden_layers,
        modelWidth,
        heads,
        keyValueHeads: c.num_key_value_heads ?? heads,
        headWidth,
        ffnWidth: c.intermediate_size,
        rotary: ropeOf(c, headWidth, family.defaults.partial_rotary_factor ?? 1),
        activation: c.hidden_act,
        attentionBias: c.attention_bias,
        epsilon: c.rms_norm_eps,
      };
      const parts = family.parts(options, own);
      const tie = c.tie_word_embeddings && !ownHead;
      const head = (tie ? tiedHead() : linearHead(modelWidth, vocabularySize)) as Head;
      const model = decoder({
        ...parts,
        ...(c.pad_token_id !== undefined && { tokens: paddedEmbedding(parts.tokens, c.pad_token_id) }),
        head: family.head?.(head, own) ?? head,
        ...present({ makeView }),
      });
      return {
        model,
        category: "decoder",
        names: [
          arrayName("model.embed_tokens.weight", "tokens.weight", [vocabularySize, modelWidth]),
          ...layerNames(options.layers, (i) => {
            const [theirs, ours] = [`model.layers.${i}`, `blocks.${i}`];
            return [
              ...(family.layer ?? normsOfLlama)(theirs, ours, options, own, i),
              ...(family.mixer?.(theirs, `${ours}.mixer`, options, own, i) ??
                attentionNames(`${theirs}.self_attn`, `${ours}.mixer`, options)),
              ...networkNames(theirs, ours, options, family.ffnBias?.(own) ?? false),
            ];
          }),
          ...normNames("model.norm", "finalNorm", modelWidth, false),
          ...(tie ? [] : linearNames("lm_head", "head", modelWidth, vocabularySize, false)),
        ],
        length: c.max_position_embeddings,
        endTokens: c.eos_token_id,
        probe: languageModelProbe(model, family.mapOf?.(own, options.layers)),
      };
    },
  };
}

/** The norms of a pre-norm layer. */
export function normsOfLlama(theirs: string, ours: string, { modelWidth }: FamilyOptions): NameRule[] {
  return [
    ...normNames(`${theirs}.input_layernorm`, `${ours}.mixerNorm`, modelWidth, false),
    ...normNames(`${theirs}.post_attention_layernorm`, `${ours}.ffnNorm`, modelWidth, false),
  ];
}

/** The projections of softmax attention. @param ours the mixer */
export function attentionNames(theirs: string, ours: string, options: FamilyOptions): NameRule[] {
  const { modelWidth: width, heads, keyValueHeads, headWidth, attentionBias: bias } = options;
  const [all, shared] = [heads * headWidth, keyValueHeads * headWidth];
  return [
    ...linearNames(`${theirs}.q_proj`, `${ours}.query`, width, all, bias),
    ...linearNames(`${theirs}.k_proj`, `${ours}.key`, width, shared, bias),
    ...linearNames(`${theirs}.v_proj`, `${ours}.value`, width, shared, bias),
    ...linearNames(`${theirs}.o_proj`, `${ours}.out`, all, width, bias),
  ];
}

function networkNames(theirs: string, ours: string, { modelWidth: width, ffnWidth }: FamilyOptions, bias: boolean) {
  return [
    ...linearNames(`${theirs}.mlp.gate_proj`, `${ours}.ffn.gate`, width, ffnWidth, bias),
    ...linearNames(`${theirs}.mlp.up_proj`, `${ours}.ffn.in`, width, ffnWidth, bias),
    ...linearNames(`${theirs}.mlp.down_proj`, `${ours}.ffn.out`, ffnWidth, width, bias),
  ];
}
