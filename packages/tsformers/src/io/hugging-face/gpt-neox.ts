import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { gptNeoXParts } from "../../models/gpt-neox.ts";
import { parallelBlock, preNormBlock } from "../../nn/block.ts";
import { tiedHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { activationName, count, epsilon, layerCount, parseConfig } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, normNames } from "./names.ts";
import { ropeOf, ropeSettings } from "./rope.ts";

const config = z.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  intermediate_size: count,
  hidden_act: activationName.default("gelu" as never),
  layer_norm_eps: epsilon.default(1e-5),
  use_parallel_residual: z.boolean().default(true),
  attention_bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
  ...ropeSettings,
});

/** GPT-NeoX and Pythia checkpoints. Queries, keys and values of each head follow each other in one matrix. */
export const gptNeoX: Format = {
  modelType: "gpt_neox",
  architectures: ["GPTNeoXForCausalLM"],
  build: (json, { look }) => {
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
    const tie = c.tie_word_embeddings;
    const model = decoder({ ...parts, ...(tie ? { head: tiedHead() } : {}), ...present({ look }) });
    return {
      model,
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
      prefix: "gpt_neox.",
      ignored: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
      tied: tie ? { "embed_out.weight": "gpt_neox.embed_in.weight" } : {},
      renamed: { "lm_head.weight": "embed_out.weight" },
      probe: languageModelProbe(model),
    };
  },
};
