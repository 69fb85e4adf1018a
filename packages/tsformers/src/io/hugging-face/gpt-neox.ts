import { z } from "zod";
import { parallelBlock, preNormBlock } from "../../blocks/block.ts";
import { decoder } from "../../models/decoder.ts";
import { gptNeoXParts } from "../../models/decoders/gpt-neox.ts";
import { tiedHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, epsilon, layerCount, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, normNames } from "./names.ts";
import { ropeOf, ropeSettings } from "./rope.ts";

const config = z.looseObject({
  vocab_size: standard(count, 50_432),
  hidden_size: standard(count, 6144),
  num_hidden_layers: standard(layerCount, 44),
  num_attention_heads: standard(count, 64),
  intermediate_size: standard(count, 24_576),
  hidden_act: standard(activationName, "gelu"),
  layer_norm_eps: standard(epsilon, 1e-5),
  use_parallel_residual: standard(z.boolean(), true),
  attention_bias: standard(z.boolean(), true),
  tie_word_embeddings: standard(z.boolean(), false),
  eos_token_id: endTokens(2),
  ...ropeSettings,
});

/** GPT-NeoX and Pythia checkpoints. Queries, keys and values of each head are interleaved in one matrix. */
export const gptNeoX: Format = {
  modelType: "gpt_neox",
  architectures: ["GPTNeoXForCausalLM"],
  prefix: "gpt_neox.",
  ignored: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  renamed: { "lm_head.weight": "embed_out.weight" },
  shared: [tiedHeadNames("gpt_neox.embed_in.weight", "embed_out.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json);
    const [width, ffnWidth, vocabulary, heads] = [
      c.hidden_size,
      c.intermediate_size,
      c.vocab_size,
      c.num_attention_heads,
    ];
    const bias = c.attention_bias;
    const parts = gptNeoXParts({
      vocabularySize: vocabulary,
      layers: c.num_hidden_layers,
      modelWidth: width,
      heads,
      ffnWidth,
      rotary: ropeOf(c, width / heads, 0.25),
      activation: c.hidden_act,
      block: c.use_parallel_residual ? parallelBlock : preNormBlock,
      attentionBias: bias,
      epsilon: c.layer_norm_eps,
    });
    const tie = c.tie_word_embeddings && !ownHead;
    const model = decoder({ ...parts, ...(tie && { head: tiedHead() }), ...present({ makeView }) });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("gpt_neox.embed_in.weight", "tokens.weight", [vocabulary, width]),
        ...layerNames(c.num_hidden_layers, (i) => {
          const [theirs, ours] = [`gpt_neox.layers.${i}`, `blocks.${i}`];
          const fused = `${theirs}.attention.query_key_value`;
          const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
          return [
            ...normNames(`${theirs}.input_layernorm`, `${ours}.mixerNorm`, width),
            ...fusedLinearNames(
              bias ? [`${fused}.weight`, `${fused}.bias`] : [`${fused}.weight`],
              qkv,
              width,
              width,
              heads,
            ),
            ...linearNames(`${theirs}.attention.dense`, `${ours}.mixer.out`, width, width, bias),
            ...normNames(`${theirs}.post_attention_layernorm`, `${ours}.ffnNorm`, width),
            ...linearNames(`${theirs}.mlp.dense_h_to_4h`, `${ours}.ffn.in`, width, ffnWidth),
            ...linearNames(`${theirs}.mlp.dense_4h_to_h`, `${ours}.ffn.out`, ffnWidth, width),
          ];
        }),
        ...normNames("gpt_neox.final_layer_norm", "finalNorm", width),
        ...(tie ? [] : linearNames("embed_out", "head", width, vocabulary, false)),
      ],
      length: c.max_position_embeddings ?? 2048,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};
