import * as z from "zod";
import { gemma2Parts } from "../../models/decoders/gemma2.ts";
import { cappedHead } from "../../nn/soft-cap.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, only, standard } from "./config.ts";
import type { Format } from "./format.ts";
import { layerTypes, patternsOfTypes } from "./layer-types.ts";
import { llamaRelative } from "./llama-family.ts";
import { normNames } from "./names.ts";

const cap = z.number().positive().nullable();

/** Gemma 2 checkpoints. */
export const gemma2: Format = llamaRelative({
  modelType: "gemma2",
  architecture: "Gemma2ForCausalLM",
  defaults: {
    vocab_size: 256_000,
    hidden_size: 2304,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    intermediate_size: 9216,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-6,
    pad_token_id: 0,
    eos_token_id: 1,
    tie_word_embeddings: true,
  },
  config: z.looseObject({
    hidden_activation: standard(activationName, "gelu_pytorch_tanh"),
    query_pre_attn_scalar: standard(z.number().positive(), 256),
    sliding_window: count.nullable().default(4096),
    layer_types: layerTypes,
    attn_logit_softcapping: cap.default(50),
    final_logit_softcapping: cap.default(30),
    use_bidirectional_attention: only(false),
  }),
  parts: (options, own) => {
    const { layers } = options;
    const window = own.sliding_window ?? undefined;
    const usual = Array.from({ length: layers }, (_, i) => (i % 2 === 0 ? "sliding_attention" : "full_attention"));
    const parts = gemma2Parts({
      ...options,
      // What layers see is told by their types.
      window: window ?? 1,
      activation: own.hidden_activation,
      scale: own.query_pre_attn_scalar ** -0.5,
      ...present({ cap: own.attn_logit_softcapping ?? undefined }),
    });
    return { ...parts, pattern: patternsOfTypes(own.layer_types ?? usual, layers, window) };
  },
  head: (head, { final_logit_softcapping: most }) => (most === null ? head : cappedHead(head, most)),
  layer: (theirs, ours, { modelWidth }) => [
    ...normNames(`${theirs}.input_layernorm`, `${ours}.mixerNorm`, modelWidth, false),
    ...normNames(`${theirs}.post_attention_layernorm`, `${ours}.mixerOutNorm`, modelWidth, false),
    ...normNames(`${theirs}.pre_feedforward_layernorm`, `${ours}.ffnNorm`, modelWidth, false),
    ...normNames(`${theirs}.post_feedforward_layernorm`, `${ours}.ffnOutNorm`, modelWidth, false),
  ],
});
