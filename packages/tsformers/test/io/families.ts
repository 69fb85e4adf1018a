import { type Concrete, evaluate, fromNumbers, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import type { Architecture, BuildOptions, Format } from "../../src/io/hugging-face/format.ts";
import { formats } from "../../src/io/hugging-face/formats.ts";
import { evaluation } from "../../src/kinds/layer.ts";

const sizes = { vocab_size: 23, hidden_size: 12, num_hidden_layers: 1, num_attention_heads: 2 };
const gptSizes = { vocab_size: 23, n_positions: 9, n_embd: 12, n_layer: 1, n_head: 2 };

/** The smallest configuration of each family that has a vocabulary. */
export const smallConfigs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gpt2: gptSizes,
  "openai-gpt": gptSizes,
  bloom: { vocab_size: 23, hidden_size: 12, n_layer: 1, n_head: 2 },
  mpt: { vocab_size: 23, d_model: 12, n_layers: 1, n_heads: 2, max_seq_len: 9 },
  gptj: { ...gptSizes, rotary_dim: 4 },
  gpt_neox: { ...sizes, hidden_size: 16, intermediate_size: 20, max_position_embeddings: 9 },
  ctrl: { ...gptSizes, dff: 20 },
  llama: { ...sizes, intermediate_size: 20, max_position_embeddings: 9 },
  mistral: { ...sizes, num_key_value_heads: 2, intermediate_size: 20, max_position_embeddings: 9, sliding_window: 3 },
  gemma2: { ...sizes, num_key_value_heads: 1, head_dim: 6, intermediate_size: 20, max_position_embeddings: 9 },
  qwen3: { ...sizes, num_key_value_heads: 1, head_dim: 6, intermediate_size: 20, max_position_embeddings: 9 },
  qwen3_next: {
    ...sizes,
    num_key_value_heads: 1,
    head_dim: 8,
    intermediate_size: 20,
    max_position_embeddings: 9,
    linear_num_key_heads: 1,
    linear_num_value_heads: 2,
    linear_key_head_dim: 4,
    linear_value_head_dim: 6,
    num_experts: 0,
  },
  diffllama: { ...sizes, intermediate_size: 20, max_position_embeddings: 9 },
  bert: { ...sizes, intermediate_size: 20, max_position_embeddings: 9 },
  roformer: { ...sizes, intermediate_size: 20, max_position_embeddings: 9 },
  big_bird: { ...sizes, intermediate_size: 20, max_position_embeddings: 9, block_size: 2, num_random_blocks: 1 },
  albert: { ...sizes, embedding_size: 8, num_hidden_layers: 3, intermediate_size: 20, max_position_embeddings: 9 },
  reformer: {
    vocab_size: 23,
    hidden_size: 12,
    num_attention_heads: 2,
    attention_head_size: 6,
    attn_layers: ["local", "lsh"],
    feed_forward_size: 20,
    axial_pos_shape: [3, 3],
    axial_pos_embds_dim: [4, 8],
    max_position_embeddings: 9,
  },
  longformer: { ...sizes, intermediate_size: 20, max_position_embeddings: 9, attention_window: 2 },
  led: {
    vocab_size: 23,
    d_model: 12,
    encoder_layers: 1,
    decoder_layers: 1,
    encoder_attention_heads: 2,
    decoder_attention_heads: 4,
    encoder_ffn_dim: 20,
    decoder_ffn_dim: 16,
    max_encoder_position_embeddings: 9,
    max_decoder_position_embeddings: 8,
    attention_window: 2,
  },
  xlnet: { vocab_size: 23, d_model: 12, n_layer: 1, n_head: 2, d_inner: 20 },
  t5: { vocab_size: 23, d_model: 12, d_kv: 6, d_ff: 20, num_layers: 1, num_heads: 2 },
  longt5: { vocab_size: 23, d_model: 12, d_kv: 6, d_ff: 20, num_layers: 1, num_heads: 2 },
};

export function formatOf(family: string): Format {
  return formats.find(({ modelType }) => modelType === family)!;
}

export function built(
  family: string,
  config: Readonly<Record<string, unknown>>,
  options: Partial<BuildOptions> = {},
): Architecture {
  return formatOf(family).build(config, { has: () => false, ownHead: false, ...options });
}

/** Parameters that a model might have learned: nothing in them is 0 or 1. */
export function paramsOf({ model }: Architecture): unknown {
  const params = (model as { init(key: unknown): Concrete<unknown> }).init(randomKey(11));
  let state = 1;
  const change = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== "object" || value === null) return value;
    if ("dtype" in value) {
      const { shape, data } = value as NDArray;
      const moved = Array.from(data as Float32Array, (x) => {
        state = (state * 16_807) % 2_147_483_647;
        return x + 0.6 * (state / 2_147_483_647 - 0.5);
      });
      return fromNumbers(moved, shape);
    }
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, change(child)]));
  };
  return change(params);
}

const device = await openCpu();
const row = (tokens: number[]) => fromNumbers(tokens, [1, tokens.length], "int32");

/** The logits of a few tokens. */
export async function logitsOf({ probe, category }: Architecture, params: unknown): Promise<number[]> {
  const inputs = {
    input_ids: row([3, 1, 4, 1, 5, 0]),
    ...(category === "encoder-decoder" && { decoder_input_ids: row([0, 7, 8]) }),
  };
  const pass = (given: never, named: never) => probe.run(given, named, evaluation, { what: "" }).logits as Tensor;
  return ((await evaluate(pass, device, params as never, inputs as never)) as unknown as NDArray).toNumbers();
}
