import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { llamaParts } from "../../models/decoders/llama.ts";
import { paddedEmbedding } from "../../nn/embedding.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, epsilon, layerCount, parseConfig, standard, tokenId } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";
import { ropeOf, ropeSettings } from "./rope.ts";

const config = z.looseObject({
  vocab_size: standard(count, 32_000),
  hidden_size: standard(count, 4096),
  num_hidden_layers: standard(layerCount, 32),
  num_attention_heads: standard(count, 32),
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  intermediate_size: standard(count, 11_008),
  hidden_act: standard(activationName, "silu"),
  rms_norm_eps: standard(epsilon, 1e-6),
  attention_bias: standard(z.boolean(), false),
  mlp_bias: standard(z.boolean(), false),
  pad_token_id: tokenId(null),
  eos_token_id: endTokens(2),
  tie_word_embeddings: standard(z.boolean(), false),
  ...ropeSettings,
});

/** Llama checkpoints. */
export const llama: Format = {
  modelType: "llama",
  architectures: ["LlamaForCausalLM"],
  prefix: "model.",
  ignored: /\.rotary_emb\.inv_freq$/,
  shared: [tiedHeadNames("model.embed_tokens.weight")],
  build: (json, { makeView, ownHead }) => {
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
    const tie = c.tie_word_embeddings && !ownHead;
    const padding = c.pad_token_id;
    const tokens = padding === undefined ? {} : { tokens: paddedEmbedding(parts.tokens, padding) };
    const model = decoder({
      ...parts,
      ...tokens,
      ...(!tie && { head: linearHead(width, vocabulary) }),
      ...present({ makeView }),
    });
    return {
      model,
      category: "decoder",
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
      length: c.max_position_embeddings ?? 2048,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};
