import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { llamaParts } from "../../models/llama.ts";
import { paddedEmbedding } from "../../nn/embedding.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { activationName, count, epsilon, layerCount, parseConfig } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";
import { ropeOf, ropeSettings } from "./rope.ts";

const config = z.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  intermediate_size: count,
  hidden_act: activationName.default("silu" as never),
  rms_norm_eps: epsilon.default(1e-6),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  pad_token_id: z.int().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  ...ropeSettings,
});

/** Llama checkpoints. */
export const llama: Format = {
  modelType: "llama",
  architectures: ["LlamaForCausalLM"],
  build: (json, { look }) => {
    const c = parseConfig(config, json);
    const [width, ffnWidth, vocabulary, heads] = [
      c.hidden_size,
      c.intermediate_size,
      c.vocab_size,
      c.num_attention_heads,
    ];
    const [keyValueHeads, headWidth] = [c.num_key_value_heads ?? heads, c.head_dim ?? width / heads];
    const parts = llamaParts({
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads,
      keyValueHeads,
      headWidth,
      ffnWidth,
      rotary: ropeOf(c, headWidth, 1),
      activation: c.hidden_act,
      attentionBias: c.attention_bias,
      ffnBias: c.mlp_bias,
      epsilon: c.rms_norm_eps,
    });
    const tie = c.tie_word_embeddings;
    const padding = c.pad_token_id ?? -1;
    const tokens = padding < 0 ? {} : { tokens: paddedEmbedding(parts.tokens, padding) };
    const model = decoder({
      ...parts,
      ...tokens,
      ...(tie ? {} : { head: linearHead(width, vocabulary) }),
      ...present({ look }),
    });
    return {
      model,
      names: [
        arrayName("model.embed_tokens.weight", "tokens.weight", [vocabulary, width]),
        ...layerNames(c.num_hidden_layers, (i) => {
          const [theirs, ours] = [`model.layers.${i}`, `blocks.${i}`];
          const [all, shared] = [heads * headWidth, keyValueHeads * headWidth];
          return [
            ...normNames(`${theirs}.input_layernorm`, `${ours}.mixerNorm`, width, false),
            ...linearNames(`${theirs}.self_attn.q_proj`, `${ours}.mixer.query`, width, all, c.attention_bias),
            ...linearNames(`${theirs}.self_attn.k_proj`, `${ours}.mixer.key`, width, shared, c.attention_bias),
            ...linearNames(`${theirs}.self_attn.v_proj`, `${ours}.mixer.value`, width, shared, c.attention_bias),
            ...linearNames(`${theirs}.self_attn.o_proj`, `${ours}.mixer.out`, all, width, c.attention_bias),
            ...normNames(`${theirs}.post_attention_layernorm`, `${ours}.ffnNorm`, width, false),
            ...linearNames(`${theirs}.mlp.gate_proj`, `${ours}.ffn.gate`, width, ffnWidth, c.mlp_bias),
            ...linearNames(`${theirs}.mlp.up_proj`, `${ours}.ffn.in`, width, ffnWidth, c.mlp_bias),
            ...linearNames(`${theirs}.mlp.down_proj`, `${ours}.ffn.out`, ffnWidth, width, c.mlp_bias),
          ];
        }),
        ...normNames("model.norm", "finalNorm", width, false),
        ...(tie ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      prefix: "model.",
      ignored: /\.rotary_emb\.inv_freq$/,
      tied: tie ? { "lm_head.weight": "model.embed_tokens.weight" } : {},
      probe: languageModelProbe(model),
    };
  },
};
