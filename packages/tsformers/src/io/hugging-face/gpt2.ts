import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { gptParts } from "../../models/gpt.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, conv1dNames, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: count,
  n_positions: count,
  n_embd: count,
  n_layer: layerCount,
  n_head: count,
  n_inner: count.nullish(),
  activation_function: activationName.default("gelu_new" as never),
  layer_norm_epsilon: epsilon.default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  add_cross_attention: only(false),
});

/** GPT-2 checkpoints. Its linear layers are stored [in, out], queries, keys and values side by side. */
export const gpt2: Format = {
  modelType: "gpt2",
  architectures: ["GPT2LMHeadModel"],
  build: (json, { look }) => {
    const c = parseConfig(config, json);
    const [width, ffnWidth, vocabulary] = [c.n_embd, c.n_inner ?? 4 * c.n_embd, c.vocab_size];
    const parts = gptParts({
      vocabularySize: vocabulary,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      length: c.n_positions,
      ffnWidth,
      activation: c.activation_function,
      epsilon: c.layer_norm_epsilon,
      scale: (layer) =>
        (c.scale_attn_weights ? (width / c.n_head) ** -0.5 : 1) / (c.scale_attn_by_inverse_layer_idx ? layer + 1 : 1),
    });
    const head = c.tie_word_embeddings ? {} : { head: linearHead(width, vocabulary) };
    const model = decoder({ ...parts, ...head, ...present({ look }) });
    return {
      model,
      names: [
        arrayName("transformer.wte.weight", "tokens.weight", [vocabulary, width]),
        arrayName("transformer.wpe.weight", "positions.weight", [c.n_positions, width]),
        ...layerNames(c.n_layer, (i) => {
          const [theirs, ours] = [`transformer.h.${i}`, `blocks.${i}`];
          const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
          return [
            ...normNames(`${theirs}.ln_1`, `${ours}.mixerNorm`, width),
            ...conv1dNames(`${theirs}.attn.c_attn`, qkv, width, width),
            ...conv1dNames(`${theirs}.attn.c_proj`, [`${ours}.mixer.out`], width, width),
            ...normNames(`${theirs}.ln_2`, `${ours}.ffnNorm`, width),
            ...conv1dNames(`${theirs}.mlp.c_fc`, [`${ours}.ffn.in`], width, ffnWidth),
            ...conv1dNames(`${theirs}.mlp.c_proj`, [`${ours}.ffn.out`], ffnWidth, width),
          ];
        }),
        ...normNames("transformer.ln_f", "finalNorm", width),
        ...(c.tie_word_embeddings ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      prefix: "transformer.",
      ignored: /\.attn\.(bias|masked_bias)$/,
      tied: c.tie_word_embeddings ? { "lm_head.weight": "transformer.wte.weight" } : {},
      probe: languageModelProbe(model),
    };
  },
};
