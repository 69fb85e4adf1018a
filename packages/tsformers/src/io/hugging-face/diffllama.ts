import * as z from "zod";
import { pairsOfHalves } from "../../attention/differential/differences.ts";
import { differentialAttention } from "../../attention/differential/differential-attention.ts";
import type { Mixer } from "../../kinds/index.ts";
import { llamaParts } from "../../models/decoders/llama.ts";
import type { Format } from "./format.ts";
import { llamaRelative, normsOfLlama } from "./llama-family.ts";
import { arrayName } from "./names.ts";

/** DiffLlama checkpoints: Llama with differential attention, whose heads are normalised without a gain. */
export const diffLlama: Format = llamaRelative({
  modelType: "diffllama",
  architecture: "DiffLlamaForCausalLM",
  defaults: {
    vocab_size: 32_000,
    hidden_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    intermediate_size: 8192,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    pad_token_id: null,
    eos_token_id: 2,
    tie_word_embeddings: false,
  },
  config: z.looseObject({}),
  parts: (options) => {
    const { attentionBias: bias, ...sizes } = options;
    const mixer = (layer: number) =>
      differentialAttention({ ...sizes, bias, layer, pairs: pairsOfHalves, gain: false }) as Mixer<unknown>;
    return llamaParts({ ...options, mixer }, "diffllama");
  },
  layer: (theirs, ours, options) => [
    ...normsOfLlama(theirs, ours, options),
    ...["q1", "k1", "q2", "k2"].map((name) =>
      arrayName(`${theirs}.self_attn.lambda_${name}`, `${ours}.mixer.lambda.${name}`, [options.headWidth]),
    ),
  ],
});
