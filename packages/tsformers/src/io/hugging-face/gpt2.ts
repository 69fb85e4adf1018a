import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { gptParts } from "../../models/decoders/gpt.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import {
  activationName,
  count,
  endTokens,
  epsilon,
  gptAliases,
  layerCount,
  only,
  parseConfig,
  standard,
} from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, conv1dNames, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 50_257),
  n_positions: standard(count, 1024),
  n_embd: standard(count, 768),
  n_layer: standard(layerCount, 12),
  n_head: standard(count, 12),
  n_inner: count.nullish(),
  activation_function: standard(activationName, "gelu_new"),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  scale_attn_weights: standard(z.boolean(), true),
  scale_attn_by_inverse_layer_idx: standard(z.boolean(), false),
  tie_word_embeddings: standard(z.boolean(), true),
  add_cross_attention: only(false),
  eos_token_id: endTokens(50_256),
});

/** GPT-2 checkpoints. Linear layers are stored [in, out]; queries, keys and values are concatenated. */
export const gpt2: Format = {
  modelType: "gpt2",
  architectures: ["GPT2LMHeadModel"],
  prefix: "transformer.",
  ignored: /\.attn\.(bias|masked_bias)$/,
  shared: [tiedHeadNames("transformer.wte.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, gptAliases);
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
    const tied = c.tie_word_embeddings && !ownHead;
    const head = tied ? {} : { head: linearHead(width, vocabulary) };
    const model = decoder({ ...parts, ...head, ...present({ makeView }) });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("transformer.wte.weight", "tokens.weight", [vocabulary, width]),
        arrayName("transformer.wpe.weight", "positions.weight", [c.n_positions, width]),
        ...layerNames(c.n_layer, (i) => gpt2BlockNames(`transformer.h.${i}`, `blocks.${i}`, width, ffnWidth)),
        ...normNames("transformer.ln_f", "finalNorm", width),
        ...(tied ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      length: c.n_positions,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};

/** Rules for a block of GPT-2. */
export function gpt2BlockNames(theirs: string, ours: string, width: number, ffnWidth: number): NameRule[] {
  const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
  return [
    ...normNames(`${theirs}.ln_1`, `${ours}.mixerNorm`, width),
    ...conv1dNames(`${theirs}.attn.c_attn`, qkv, width, width),
    ...conv1dNames(`${theirs}.attn.c_proj`, [`${ours}.mixer.out`], width, width),
    ...normNames(`${theirs}.ln_2`, `${ours}.ffnNorm`, width),
    ...conv1dNames(`${theirs}.mlp.c_fc`, [`${ours}.ffn.in`], width, ffnWidth),
    ...conv1dNames(`${theirs}.mlp.c_proj`, [`${ours}.ffn.out`], ffnWidth, width),
  ];
}
