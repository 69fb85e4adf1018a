import * as z from "zod";
import { llamaParts } from "../../models/decoders/llama.ts";
import { standard } from "./config.ts";
import type { Format } from "./format.ts";
import { llamaRelative } from "./llama-family.ts";

/** Llama checkpoints. */
export const llama: Format = llamaRelative({
  modelType: "llama",
  architecture: "LlamaForCausalLM",
  defaults: {
    vocab_size: 32_000,
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    intermediate_size: 11_008,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-6,
    pad_token_id: null,
    eos_token_id: 2,
    tie_word_embeddings: false,
  },
  config: z.looseObject({ mlp_bias: standard(z.boolean(), false) }),
  parts: (options, { mlp_bias: ffnBias }) => llamaParts({ ...options, ffnBias }),
  ffnBias: ({ mlp_bias }) => mlp_bias,
});
