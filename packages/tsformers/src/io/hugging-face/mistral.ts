import * as z from "zod";
import { llamaParts } from "../../models/decoders/llama.ts";
import { mistralParts } from "../../models/decoders/mistral.ts";
import { count } from "./config.ts";
import type { Format } from "./format.ts";
import { llamaRelative } from "./llama-family.ts";

/** Mistral checkpoints; later ones have no window. */
export const mistral: Format = llamaRelative({
  modelType: "mistral",
  architecture: "MistralForCausalLM",
  defaults: {
    vocab_size: 32_000,
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    intermediate_size: 14_336,
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    pad_token_id: null,
    eos_token_id: 2,
    tie_word_embeddings: false,
  },
  config: z.looseObject({ sliding_window: count.nullable().default(4096) }),
  parts: (options, { sliding_window: window }) =>
    window === null ? llamaParts(options, "mistral") : mistralParts({ ...options, window }),
});
