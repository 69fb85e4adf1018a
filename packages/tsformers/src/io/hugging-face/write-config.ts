import { everyLast, rotatedQuarter } from "../../models/decoders/qwen3-next.ts";
import { present } from "../../schema/present.ts";

/** Sizes of a catalogue model. */
export type ModelSizes = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  readonly length: number;
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
  readonly headWidth?: number;
  /** Positions that a sliding window shows, the query's own among them. */
  readonly window?: number;
  readonly cap?: number;
  readonly outputCap?: number;
  /** One of so many layers attends to everything. */
  readonly period?: number;
  readonly embeddingWidth?: number;
  readonly groups?: number;
  /** Layers of a decoder beside an encoder. */
  readonly decoderLayers?: number;
  /** LongT5's attention, how far positions see, and how many of them have a global token. */
  readonly attention?: "local" | "transient-global";
  readonly radius?: number;
  readonly block?: number;
  /** First token of targets, for an encoder-decoder. */
  readonly startToken?: number;
  /** Ends what the model writes, if it was trained to say where it ends. */
  readonly endToken?: number;
};

/** Most of our models have no such tokens; left out, the published defaults would apply. */
const noTokens = { bos_token_id: null, eos_token_id: null, pad_token_id: null };

/** Writes the `config.json` of a catalogue model in Hugging Face's form. */
type Writer = (sizes: ModelSizes) => Record<string, unknown>;

/**
 * Catalogue models, with their default positions, that Hugging Face has as well, with the same arithmetic up to
 * rounding.
 */
const configWriters: Readonly<Record<string, Writer>> = {
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
    rotary_pct: rotaryShare(2 * Math.ceil(modelWidth / heads / 8), modelWidth / heads),
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
  llama: (sizes) => ({
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    ...llamaSettings(sizes, Math.ceil((8 * sizes.modelWidth) / 3)),
  }),
  mistral: ({ window, ...sizes }) => ({
    model_type: "mistral",
    architectures: ["MistralForCausalLM"],
    ...llamaSettings(sizes, Math.ceil(3.5 * sizes.modelWidth)),
    ...headDim(sizes),
    sliding_window: window,
  }),
  qwen3: (sizes) => ({
    model_type: "qwen3",
    architectures: ["Qwen3ForCausalLM"],
    ...llamaSettings(sizes, 3 * sizes.modelWidth),
    ...headDim(sizes),
    rope_theta: 1e6,
  }),
  "qwen3-next": ({ period = 4, ...sizes }) => ({
    model_type: "qwen3_next",
    architectures: ["Qwen3NextForCausalLM"],
    ...llamaSettings(sizes, 3 * sizes.modelWidth),
    ...headDim(sizes),
    rope_theta: 1e7,
    partial_rotary_factor: rotaryShare(rotatedQuarter(headDim(sizes).head_dim), headDim(sizes).head_dim),
    full_attention_interval: period,
    layer_types: Array.from({ length: sizes.layers }, (_, layer) =>
      everyLast(period)(layer) ? "full_attention" : "linear_attention",
    ),
    linear_num_key_heads: sizes.heads,
    linear_num_value_heads: 2 * sizes.heads,
    linear_key_head_dim: sizes.modelWidth / sizes.heads,
    linear_value_head_dim: sizes.modelWidth / sizes.heads,
    num_experts: 0,
  }),
  gemma2: ({ window, cap, outputCap, ...sizes }) => ({
    model_type: "gemma2",
    architectures: ["Gemma2ForCausalLM"],
    ...llamaSettings(sizes, 4 * sizes.modelWidth),
    ...headDim(sizes),
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    query_pre_attn_scalar: headDim(sizes).head_dim,
    sliding_window: window,
    attn_logit_softcapping: cap,
    final_logit_softcapping: outputCap,
  }),
  bert: ({ vocabularySize, length, ...sizes }) => ({
    model_type: "bert",
    architectures: ["BertForMaskedLM"],
    vocab_size: vocabularySize,
    max_position_embeddings: length,
    ...encoderSettings(sizes),
  }),
  roformer: ({ vocabularySize, length, ...sizes }) => ({
    model_type: "roformer",
    architectures: ["RoFormerForMaskedLM"],
    vocab_size: vocabularySize,
    max_position_embeddings: length,
    embedding_size: sizes.modelWidth,
    rotary_value: false,
    ...encoderSettings(sizes),
  }),
  albert: ({ vocabularySize, length, embeddingWidth = 128, groups = 1, ...sizes }) => ({
    model_type: "albert",
    architectures: ["AlbertForMaskedLM"],
    vocab_size: vocabularySize,
    max_position_embeddings: length,
    embedding_size: embeddingWidth,
    num_hidden_groups: groups,
    inner_group_num: 1,
    ...encoderSettings(sizes),
    hidden_act: "gelu_new",
  }),
  t5: (sizes) => ({
    model_type: "t5",
    architectures: ["T5ForConditionalGeneration"],
    ...t5Settings(sizes),
    feed_forward_proj: "relu",
    tie_word_embeddings: true,
  }),
  longt5: ({ attention = "transient-global", radius = 127, block = 16, ...sizes }) => ({
    model_type: "longt5",
    architectures: ["LongT5ForConditionalGeneration"],
    ...t5Settings(sizes),
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
    encoder_attention_type: attention,
    local_radius: radius,
    global_block_size: block,
  }),
  xlnet: ({ vocabularySize, layers, modelWidth, heads, ffnWidth = 4 * modelWidth }) => ({
    model_type: "xlnet",
    architectures: ["XLNetLMHeadModel"],
    vocab_size: vocabularySize,
    d_model: modelWidth,
    n_layer: layers,
    n_head: heads,
    d_inner: ffnWidth,
    ff_activation: "gelu",
    layer_norm_eps: 1e-12,
    mem_len: null,
    tie_word_embeddings: true,
  }),
};

/**
 * The `config.json` of a catalogue model with its default positions, in Hugging Face's form.
 *
 * @returns undefined if Hugging Face has no such model
 */
export function writeConfig(kind: string, sizes: ModelSizes): Record<string, unknown> | undefined {
  const written = Object.hasOwn(configWriters, kind) ? configWriters[kind]!(sizes) : undefined;
  return written && { ...noTokens, ...written, ...present({ eos_token_id: sizes.endToken }) };
}

/** Whether Hugging Face has a catalogue model. */
export function hasConfigWriter(kind: string): boolean {
  return Object.hasOwn(configWriters, kind);
}

function llamaSettings(
  { vocabularySize, layers, modelWidth, heads, length, keyValueHeads = heads, ffnWidth }: ModelSizes,
  usualFfnWidth: number,
) {
  return {
    vocab_size: vocabularySize,
    hidden_size: modelWidth,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    intermediate_size: ffnWidth ?? usualFfnWidth,
    max_position_embeddings: length,
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: true,
  };
}

function t5Settings({
  vocabularySize,
  layers,
  decoderLayers = layers,
  modelWidth,
  heads,
  ffnWidth = 4 * modelWidth,
  startToken = 0,
}: ModelSizes) {
  return {
    vocab_size: vocabularySize,
    d_model: modelWidth,
    d_kv: modelWidth / heads,
    d_ff: ffnWidth,
    num_layers: layers,
    num_decoder_layers: decoderLayers,
    num_heads: heads,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    layer_norm_epsilon: 1e-6,
    is_encoder_decoder: true,
    decoder_start_token_id: startToken,
    // transformers puts it in front when it shifts labels.
    pad_token_id: startToken,
  };
}

function headDim({ modelWidth, heads, headWidth = modelWidth / heads }: ModelSizes) {
  return { head_dim: headWidth };
}

function encoderSettings({
  layers,
  modelWidth,
  heads,
  ffnWidth = 4 * modelWidth,
}: Omit<ModelSizes, "vocabularySize" | "length">) {
  return {
    hidden_size: modelWidth,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: ffnWidth,
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    type_vocab_size: 2,
    tie_word_embeddings: true,
  };
}

/** The share of a head's features that readers, who round `share · width` down, turn back into `rotated`. */
function rotaryShare(rotated: number, width: number): number {
  const share = rotated / width;
  return Math.floor(share * width) === rotated ? share : (rotated + 0.5) / width;
}
