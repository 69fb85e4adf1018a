import { argmax, equal, isTensor, ones, type Tensor, transpose, zeros } from "@tsformers/engine";
import { z } from "zod";
import { type XlnetOptions, xlnet as xlnetModel } from "../../models/decoders/xlnet.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig, standard } from "./config.ts";
import { numbered, weightsOf } from "./decoder-probe.ts";
import {
  type Format,
  floatInput,
  labelInput,
  maskInput,
  type Probe,
  positionInput,
  tiedHeadNames,
  tokenInput,
} from "./format.ts";
import { byHeads, chained, reshaped, transposed } from "./layout.ts";
import { arrayName, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 32_000),
  d_model: standard(count, 1024),
  n_layer: standard(layerCount, 24),
  n_head: standard(count, 16),
  d_inner: standard(count, 4096),
  ff_activation: standard(activationName, "gelu"),
  layer_norm_eps: standard(epsilon, 1e-12),
  clamp_len: standard(z.int(), -1),
  tie_word_embeddings: standard(z.boolean(), true),
  attn_type: only("bi"),
  bi_data: only(false),
  same_length: only(false),
  untie_r: only(true),
});

/** Other names of settings. */
const aliases = {
  hidden_size: "d_model",
  num_attention_heads: "n_head",
  num_hidden_layers: "n_layer",
  n_token: "vocab_size",
};

/** XLNet checkpoints with their language modelling head. */
export const xlnet: Format = {
  modelType: "xlnet",
  architectures: ["XLNetLMHeadModel"],
  prefix: "transformer.",
  shared: [tiedHeadNames("transformer.word_embedding.weight", "lm_loss.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, aliases);
    const [width, vocabulary] = [c.d_model, c.vocab_size];
    const tied = c.tie_word_embeddings && !ownHead;
    const output: Head | undefined = tied ? undefined : (linearHead(width, vocabulary, { bias: true }) as Head);
    const options: XlnetOptions = {
      vocabularySize: vocabulary,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      ffnWidth: c.d_inner,
      activation: c.ff_activation,
      epsilon: c.layer_norm_eps,
      ...(c.clamp_len > 0 && { maxDistance: c.clamp_len }),
      ...present({ makeView, output }),
    };
    return {
      model: xlnetModel(options),
      category: "encoder",
      names: [
        arrayName("transformer.word_embedding.weight", "tokens.weight", [vocabulary, width]),
        {
          theirs: "transformer.mask_emb",
          shape: [1, 1, width],
          ours: ["queryStart"],
          layout: reshaped([1, 1, width], [width]),
        },
        ...layerNames(c.n_layer, (i) => namesOfLayer(i, width, c.n_head, c.d_inner)),
        ...(tied
          ? [arrayName("lm_loss.bias", "head.bias", [vocabulary])]
          : linearNames("lm_loss", "head", width, vocabulary)),
      ],
      probe: probe(options),
    };
  },
};

function namesOfLayer(i: number, width: number, heads: number, inner: number): NameRule[] {
  const [theirs, ours] = [`transformer.layer.${i}`, `blocks.${i}`];
  const headWidth = width / heads;
  const shape = [width, heads, headWidth];
  const flat = reshaped(shape, [width, width]);
  const attention = (name: string, path: string, layout = flat): NameRule => {
    return { theirs: `${theirs}.rel_attn.${name}`, shape, ours: [path], layout };
  };
  const own = (name: string, path: string, shape: readonly number[]) =>
    arrayName(`${theirs}.rel_attn.${name}`, path, shape);
  return [
    attention("q", `${ours}.mixer.query.weight`),
    attention("k", `${ours}.mixer.key.weight`),
    attention("v", `${ours}.mixer.value.weight`),
    attention("o", `${ours}.mixer.out.weight`, chained(flat, transposed)),
    attention("r", `scores.distances.${i}`, chained(flat, transposed, byHeads(heads))),
    own("r_w_bias", `scores.biases.${i}.content`, [heads, headWidth]),
    own("r_r_bias", `scores.biases.${i}.distance`, [heads, headWidth]),
    own("r_s_bias", `segments.${i}.bias`, [heads, headWidth]),
    own("seg_embed", `segments.${i}.vectors`, [2, heads, headWidth]),
    ...normNames(`${theirs}.rel_attn.layer_norm`, `${ours}.mixerNorm`, width),
    ...linearNames(`${theirs}.ff.layer_1`, `${ours}.ffn.in`, width, inner),
    ...linearNames(`${theirs}.ff.layer_2`, `${ours}.ffn.out`, inner, width),
    ...normNames(`${theirs}.ff.layer_norm`, `${ours}.ffnNorm`, width),
  ];
}

const memoryInput = /^mems\.\d+$/;

/** A pass with transformers' names: of the content stream, or of both where `perm_mask` or `target_mapping` ask for a prediction. */
function probe(options: XlnetOptions): Probe {
  return {
    inputs: {
      input_ids: tokenInput(options.vocabularySize),
      attention_mask: maskInput,
      token_type_ids: positionInput,
      perm_mask: maskInput,
      target_mapping: maskInput,
      labels: labelInput(options.vocabularySize),
    },
    inputOf: (name) => (memoryInput.test(name) ? floatInput : undefined),
    run: (params, inputs, context) => {
      const { input_ids: tokens, attention_mask: mask, token_type_ids: types, labels } = inputs;
      const { perm_mask: hidden, target_mapping: targets } = inputs;
      if (tokens === undefined) throw new Error("expected input_ids [B, T]");
      const kept = Array.from({ length: options.layers }, (_, i) => inputs[`mems.${i}`]).filter(isTensor);
      const layers = kept.map((memory) => memoryOf(memory));
      const memoryLength = kept[0]?.shape[0];
      const model = xlnetModel({ ...options, ...present({ memoryLength }) });
      const input = { tokens, ...present({ mask, types }), ...(kept.length > 0 && { segment: { layers } }) };
      if (hidden === undefined && targets === undefined) {
        const { logits, x, hidden, maps } = model.apply(params as never, input, context);
        return {
          logits,
          hidden_last: x,
          ...numbered("hidden_", hidden),
          ...numbered("attn", weightsOf(maps)),
          ...(labels !== undefined && { loss: meanCrossEntropy(logits, labels) }),
        };
      }
      const [rows, length] = tokens.shape as [number, number];
      const sees = equal(hidden ?? zeros([rows, length, length], "int32"), 0);
      const places = targets && argmax(targets);
      const { predicted, queries } = model.predict(
        params as never,
        { ...input, sees, ...present({ places }) },
        context,
      );
      return {
        logits: predicted,
        hidden_last: queries,
        ...(labels !== undefined && { loss: meanCrossEntropy(predicted, labels) }),
      };
    },
  };
}

/** [M, B, C] → what a layer remembers. */
function memoryOf(memory: Tensor): { vectors: Tensor; seen: Tensor } {
  return { vectors: transpose(memory, [1, 0, 2]), seen: ones([memory.shape[1]!, memory.shape[0]!], "int32") };
}
