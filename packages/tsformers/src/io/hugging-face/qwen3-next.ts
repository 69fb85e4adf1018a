import * as z from "zod";
import { everyLast, qwen3NextParts } from "../../models/decoders/qwen3-next.ts";
import { FileError } from "../file-error.ts";
import { configFile, count, standard } from "./config.ts";
import type { Format } from "./format.ts";
import { layerTypes, requireTypes } from "./layer-types.ts";
import { chained, groupedRows, reshaped, transposed } from "./layout.ts";
import { attentionNames, type FamilyOptions, llamaRelative } from "./llama-family.ts";
import { arrayName, fusedLinearNames, linearNames, type NameRule, normNames } from "./names.ts";

const config = z.looseObject({
  layer_types: layerTypes,
  full_attention_interval: count.nullish(),
  linear_conv_kernel_dim: standard(z.literal(4), 4),
  linear_num_key_heads: standard(count, 16),
  linear_num_value_heads: standard(count, 32),
  linear_key_head_dim: standard(count, 128),
  linear_value_head_dim: standard(count, 128),
  num_experts: standard(z.int().nonnegative(), 512),
  decoder_sparse_step: standard(count, 1),
  mlp_only_layers: z.array(z.int()).nullish(),
});

type Own = z.output<typeof config>;

/** Qwen3-Next checkpoints whose networks are dense. */
export const qwen3Next: Format = llamaRelative({
  modelType: "qwen3_next",
  architecture: "Qwen3NextForCausalLM",
  defaults: {
    vocab_size: 151_936,
    hidden_size: 2048,
    num_hidden_layers: 48,
    num_attention_heads: 16,
    num_key_value_heads: 2,
    head_dim: 256,
    intermediate_size: 5632,
    max_position_embeddings: 32_768,
    partial_rotary_factor: 0.25,
    rms_norm_eps: 1e-6,
    pad_token_id: null,
    eos_token_id: null,
    tie_word_embeddings: false,
  },
  config,
  parts: (options, own) => {
    requireDense(options.layers, own);
    const attends = attending(options.layers, own);
    const { linear_num_value_heads: heads, linear_num_key_heads: keyHeads } = own;
    const memory = {
      heads,
      keyHeads,
      keyWidth: own.linear_key_head_dim,
      valueWidth: own.linear_value_head_dim,
    };
    if (heads % keyHeads !== 0)
      throw new FileError(
        configFile,
        `linear_num_value_heads ${heads} is no multiple of linear_num_key_heads ${keyHeads}`,
      );
    return qwen3NextParts({ ...options, attends, memory });
  },
  mapOf: (own, layers) => Array.from({ length: layers }, (_, i) => i).find(attending(layers, own)),
  mixer: (theirs, ours, options, own, layer) =>
    attending(options.layers, own)(layer)
      ? gatedAttentionNames(`${theirs}.self_attn`, ours, options)
      : deltaNames(`${theirs}.linear_attn`, ours, options.modelWidth, own),
});

/** Which layers attend to everything. */
function attending(layers: number, { layer_types: given, full_attention_interval: interval }: Own) {
  if (given == null) return everyLast(interval ?? 4);
  requireTypes(given, layers, ["full_attention", "linear_attention"]);
  return (layer: number) => given[layer] === "full_attention";
}

function requireDense(layers: number, { num_experts: experts, decoder_sparse_step: step, mlp_only_layers }: Own): void {
  const dense = new Set(mlp_only_layers);
  const sparse = Array.from({ length: layers }, (_, layer) => layer).find(
    (layer) => experts > 0 && (layer + 1) % step === 0 && !dense.has(layer),
  );
  if (sparse !== undefined)
    throw new FileError(
      configFile,
      `the network of layer ${sparse} is a mixture of ${experts} experts; only dense ones are supported (mlp_only_layers, or num_experts 0)`,
    );
}

/** Each head's rows of queries are followed by those of its gate. */
function gatedAttentionNames(theirs: string, ours: string, options: FamilyOptions): NameRule[] {
  const { modelWidth, heads, headWidth, attentionBias: bias } = options;
  const query = `${theirs}.q_proj`;
  return [
    ...fusedLinearNames(
      bias ? [`${query}.weight`, `${query}.bias`] : [`${query}.weight`],
      [`${ours}.query`, `${ours}.gate`],
      modelWidth,
      heads * headWidth,
      heads,
    ),
    ...attentionNames(theirs, ours, options).filter(({ theirs }) => !theirs.startsWith(query)),
    ...normNames(`${theirs}.q_norm`, `${ours}.queryNorm`, headWidth, false),
    ...normNames(`${theirs}.k_norm`, `${ours}.keyNorm`, headWidth, false),
  ];
}

/** Rows are grouped by heads of keys: in each group those of query, key, values and gates, as those of strengths and steps. */
function deltaNames(theirs: string, ours: string, modelWidth: number, own: Own): NameRule[] {
  const { linear_num_key_heads: groups, linear_num_value_heads: heads } = own;
  const { linear_key_head_dim: keyWidth, linear_value_head_dim: valueWidth } = own;
  const [keys, values] = [groups * keyWidth, heads * valueWidth];
  const channels = 2 * keys + values;
  return [
    {
      theirs: `${theirs}.in_proj_qkvz.weight`,
      shape: [channels + values, modelWidth],
      ours: ["query", "key", "value", "gate"].map((part) => `${ours}.${part}.weight`),
      layout: groupedRows([keyWidth, keyWidth, values / groups, values / groups], groups),
    },
    ...fusedLinearNames(
      [`${theirs}.in_proj_ba.weight`],
      [`${ours}.strength`, `${ours}.decay.step`],
      modelWidth,
      heads,
      groups,
    ),
    {
      theirs: `${theirs}.conv1d.weight`,
      shape: [channels, 1, 4],
      ours: [`${ours}.convolution.weight`],
      layout: chained(reshaped([channels, 1, 4], [channels, 4]), transposed),
    },
    arrayName(`${theirs}.A_log`, `${ours}.decay.logRate`, [heads]),
    arrayName(`${theirs}.dt_bias`, `${ours}.decay.stepBias`, [heads]),
    arrayName(`${theirs}.norm.weight`, `${ours}.gain`, [valueWidth]),
    ...linearNames(`${theirs}.out_proj`, `${ours}.out`, values, modelWidth, false),
  ];
}
