import { present } from "../../nn/present.ts";

/** Sizes of a model of the catalogue. */
export type ModelSizes = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly length: number;
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
};

/** The `config.json` of a model of our catalogue as Hugging Face writes it. */
type Writer = (sizes: ModelSizes) => Record<string, unknown>;

/**
 * Models of the catalogue, with their own positions, that Hugging Face has under a name, with the same arithmetic up to
 * rounding.
 */
export const configWriters: Readonly<Record<string, Writer>> = {
  gpt: ({ vocabularySize, layers, modelWidth, heads, length, ffnWidth }) => ({
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    vocab_size: vocabularySize,
    n_positions: length,
    n_embd: modelWidth,
    n_layer: layers,
    n_head: heads,
    ...present({ n_inner: ffnWidth }),
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: true,
  }),
  "openai-gpt": ({ vocabularySize, layers, modelWidth, heads, length }) => ({
    model_type: "openai-gpt",
    architectures: ["OpenAIGPTLMHeadModel"],
    vocab_size: vocabularySize,
    n_positions: length,
    n_embd: modelWidth,
    n_layer: layers,
    n_head: heads,
    afn: "gelu",
    layer_norm_epsilon: 1e-5,
  }),
  bloom: ({ vocabularySize, layers, modelWidth, heads }) => ({
    model_type: "bloom",
    architectures: ["BloomForCausalLM"],
    vocab_size: vocabularySize,
    hidden_size: modelWidth,
    n_layer: layers,
    n_head: heads,
    layer_norm_epsilon: 1e-5,
  }),
  mpt: ({ vocabularySize, layers, modelWidth, heads, length }) => ({
    model_type: "mpt",
    architectures: ["MptForCausalLM"],
    vocab_size: vocabularySize,
    d_model: modelWidth,
    n_layers: layers,
    n_heads: heads,
    max_seq_len: length,
    layer_norm_epsilon: 1e-5,
  }),
  gptj: ({ vocabularySize, layers, modelWidth, heads, length, ffnWidth }) => ({
    model_type: "gptj",
    architectures: ["GPTJForCausalLM"],
    vocab_size: vocabularySize,
    n_positions: length,
    n_embd: modelWidth,
    n_layer: layers,
    n_head: heads,
    rotary_dim: modelWidth / heads,
    ...present({ n_inner: ffnWidth }),
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: false,
  }),
  "gpt-neox": ({ vocabularySize, layers, modelWidth, heads, length, ffnWidth = 4 * modelWidth }) => ({
    model_type: "gpt_neox",
    architectures: ["GPTNeoXForCausalLM"],
    vocab_size: vocabularySize,
    hidden_size: modelWidth,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: ffnWidth,
    max_position_embeddings: length,
    rotary_pct: (2 * Math.ceil(modelWidth / heads / 8)) / (modelWidth / heads),
    hidden_act: "gelu",
    layer_norm_eps: 1e-5,
    use_parallel_residual: true,
    tie_word_embeddings: false,
  }),
  ctrl: ({ vocabularySize, layers, modelWidth, heads, length, ffnWidth = 4 * modelWidth }) => ({
    model_type: "ctrl",
    architectures: ["CTRLLMHeadModel"],
    vocab_size: vocabularySize,
    n_positions: length,
    n_embd: modelWidth,
    n_layer: layers,
    n_head: heads,
    dff: ffnWidth,
    layer_norm_epsilon: 1e-6,
  }),
  llama: ({
    vocabularySize,
    layers,
    modelWidth,
    heads,
    length,
    keyValueHeads = heads,
    ffnWidth = Math.ceil((8 * modelWidth) / 3),
  }) => ({
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    vocab_size: vocabularySize,
    hidden_size: modelWidth,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    intermediate_size: ffnWidth,
    max_position_embeddings: length,
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: true,
  }),
};
