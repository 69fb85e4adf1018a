import { constant, where } from "@tsformers/engine";
import { z } from "zod";
import { makeAveragingView, type ViewOptions } from "../../attention/core/view.ts";
import { denseMask, fullPattern } from "../../attention/patterns/pattern.ts";
import type { View } from "../../kinds/index.ts";
import { decoder } from "../../models/decoder.ts";
import { openAiGptParts } from "../../models/decoders/openai-gpt.ts";
import { geluTanh, relu, silu } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { count, endTokens, epsilon, gptAliases, layerCount, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, conv1dNames, layerNames, linearNames, normNames } from "./names.ts";

/** "gelu" is the tanh form in GPT-1, unlike everywhere else. */
const activations = { gelu: geluTanh, relu, silu, swish: silu };

const config = z.looseObject({
  vocab_size: standard(count, 40_478),
  n_positions: standard(count, 512),
  n_embd: standard(count, 768),
  n_layer: standard(layerCount, 12),
  n_head: standard(count, 12),
  afn: standard(z.enum(["gelu", "relu", "silu", "swish"]), "gelu"),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  tie_word_embeddings: standard(z.boolean(), true),
  eos_token_id: endTokens(null),
});

/** GPT-1 checkpoints. */
export const openAiGpt: Format = {
  modelType: "openai-gpt",
  architectures: ["OpenAIGPTLMHeadModel"],
  prefix: "transformer.",
  ignored: /(\.attn\.bias|position_ids)$/,
  shared: [tiedHeadNames("transformer.tokens_embed.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, gptAliases);
    const [width, vocabulary] = [c.n_embd, c.vocab_size];
    const parts = openAiGptParts({
      vocabularySize: vocabulary,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      length: c.n_positions,
      activation: activations[c.afn],
      epsilon: c.layer_norm_epsilon,
    });
    const tied = c.tie_word_embeddings && !ownHead;
    const head = tied ? {} : { head: linearHead(width, vocabulary) };
    const model = decoder({ ...parts, ...head, ...(makeView !== undefined && { makeView: viewWithPenalty }) });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("transformer.tokens_embed.weight", "tokens.weight", [vocabulary, width]),
        arrayName("transformer.positions_embed.weight", "positions.weight", [c.n_positions, width]),
        ...layerNames(c.n_layer, (i) => {
          const [theirs, ours] = [`transformer.h.${i}`, `blocks.${i}`];
          const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
          return [
            ...conv1dNames(`${theirs}.attn.c_attn`, qkv, width, width),
            ...conv1dNames(`${theirs}.attn.c_proj`, [`${ours}.mixer.out`], width, width),
            ...normNames(`${theirs}.ln_1`, `${ours}.mixerNorm`, width),
            ...conv1dNames(`${theirs}.mlp.c_fc`, [`${ours}.ffn.in`], width, 4 * width),
            ...conv1dNames(`${theirs}.mlp.c_proj`, [`${ours}.ffn.out`], 4 * width, width),
            ...normNames(`${theirs}.ln_2`, `${ours}.ffnNorm`, width),
          ];
        }),
        ...(tied ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      length: c.n_positions,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};

/** The reference's masking: keys ahead get a logit of −10⁴, padding far less, so that a query with only padding before it looks ahead. */
function viewWithPenalty({ pattern, scores, ...options }: ViewOptions): View {
  const visible = constant(denseMask(pattern, options.queries, options.keys));
  return makeAveragingView({
    ...options,
    pattern: fullPattern,
    scores: (positions) => {
      const own = scores?.(positions);
      return { logits: (logits, of) => where(visible, own?.logits(logits, of) ?? logits, -1e4) };
    },
  });
}
