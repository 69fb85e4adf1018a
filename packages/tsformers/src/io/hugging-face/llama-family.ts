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
  Omit<LlamaOptions, "mixer" | "dropoutRate" | "ffnBias"> & { readonly rotary: NonNullable<LlamaOptions["rotary"]> }
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
  /** Arrays of a layer beside those of projections and feed-forward network. Default: the two norms of Llama. */
  readonly layer?: (theirs: string, ours: string, options: FamilyOptions) => NameRule[];
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
        rotary: ropeOf(c, headWidth, 1),
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
              ...(family.layer ?? normsOfLlama)(theirs, ours, options),
              ...projectionNames(theirs, ours, options, family.ffnBias?.(own) ?? false),
            ];
          }),
          ...normNames("model.norm", "finalNorm", modelWidth, false),
          ...(tie ? [] : linearNames("lm_head", "head", modelWidth, vocabularySize, false)),
        ],
        length: c.max_position_embeddings,
        endTokens: c.eos_token_id,
        probe: languageModelProbe(model),
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

function projectionNames(theirs: string, ours: string, options: FamilyOptions, ffnBias: boolean): NameRule[] {
  const { modelWidth: width, heads, keyValueHeads, headWidth, ffnWidth, attentionBias: bias } = options;
  const [all, shared] = [heads * headWidth, keyValueHeads * headWidth];
  return [
    ...linearNames(`${theirs}.self_attn.q_proj`, `${ours}.mixer.query`, width, all, bias),
    ...linearNames(`${theirs}.self_attn.k_proj`, `${ours}.mixer.key`, width, shared, bias),
    ...linearNames(`${theirs}.self_attn.v_proj`, `${ours}.mixer.value`, width, shared, bias),
    ...linearNames(`${theirs}.self_attn.o_proj`, `${ours}.mixer.out`, all, width, bias),
    ...linearNames(`${theirs}.mlp.gate_proj`, `${ours}.ffn.gate`, width, ffnWidth, ffnBias),
    ...linearNames(`${theirs}.mlp.up_proj`, `${ours}.ffn.in`, width, ffnWidth, ffnBias),
    ...linearNames(`${theirs}.mlp.down_proj`, `${ours}.ffn.out`, ffnWidth, width, ffnBias),
  ];
}
