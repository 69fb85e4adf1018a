import * as z from "zod";
import { qwen3Parts } from "../../models/decoders/qwen3.ts";
import { count, standard } from "./config.ts";
import type { Format } from "./format.ts";
import { layerTypes, patternsOfTypes } from "./layer-types.ts";
import { llamaRelative, normsOfLlama } from "./llama-family.ts";
import { normNames } from "./names.ts";

/** Qwen3 checkpoints. */
export const qwen3: Format = llamaRelative({
  modelType: "qwen3",
  architecture: "Qwen3ForCausalLM",
  defaults: {
    vocab_size: 151_936,
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    intermediate_size: 22_016,
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    pad_token_id: null,
    eos_token_id: null,
    tie_word_embeddings: false,
  },
  config: z.looseObject({
    use_sliding_window: standard(z.boolean(), false),
    sliding_window: count.nullable().default(4096),
    max_window_layers: standard(z.int().nonnegative(), 28),
    layer_types: layerTypes,
  }),
  parts: (options, own) => {
    const { layers } = options;
    const window = own.use_sliding_window ? (own.sliding_window ?? undefined) : undefined;
    const slides = (layer: number) => window !== undefined && layer >= own.max_window_layers;
    const usual = Array.from({ length: layers }, (_, layer) =>
      slides(layer) ? "sliding_attention" : "full_attention",
    );
    return { ...qwen3Parts(options), pattern: patternsOfTypes(own.layer_types ?? usual, layers, window) };
  },
  layer: (theirs, ours, options) => [
    ...normsOfLlama(theirs, ours, options),
    ...normNames(`${theirs}.self_attn.q_norm`, `${ours}.mixer.queryNorm`, options.headWidth, false),
    ...normNames(`${theirs}.self_attn.k_norm`, `${ours}.mixer.keyNorm`, options.headWidth, false),
  ],
});
