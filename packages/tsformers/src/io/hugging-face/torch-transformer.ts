import { add, cast, expandDims, mul, sub, sum, type Tensor, where } from "@tsformers/engine";
import { z } from "zod";
import { hidden } from "../../attention/core/query-block.ts";
import { makeView } from "../../attention/core/view.ts";
import { causal, fullPattern, type Pattern } from "../../attention/patterns/pattern.ts";
import type { Score, View } from "../../kinds/index.ts";
import { type Stacks, type StacksParams, stacks } from "../../models/encoder-decoder.ts";
import { postNorm, preNorm, transformerStacks } from "../../models/encoder-decoders/transformer.ts";
import { gelu, relu } from "../../nn/feed-forward.ts";
import { present } from "../../schema/present.ts";
import { count, epsilon, layerCount, only, parseConfig, standard } from "./config.ts";
import { type Format, floatInput, type InputRule, maskInput, type Probe } from "./format.ts";
import { fusedLinearNames, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const config = z.looseObject({
  d_model: count,
  nhead: count,
  num_encoder_layers: layerCount,
  num_decoder_layers: layerCount,
  dim_feedforward: count,
  activation: standard(z.enum(["relu", "gelu"]), "relu"),
  norm_first: standard(z.boolean(), false),
  layer_norm_eps: standard(epsilon, 1e-5),
  bias: only(true),
});

/** torch.nn.Transformer, over vectors. Unlike ours, it has final norms in the post-norm form, too. */
export const torchTransformer: Format = {
  modelType: "torch.nn.Transformer",
  architectures: [],
  build: (json, options) => {
    const c = parseConfig(config, json);
    const [width, ffnWidth] = [c.d_model, c.dim_feedforward];
    const parts = transformerStacks({
      layers: c.num_encoder_layers,
      decoderLayers: c.num_decoder_layers,
      modelWidth: width,
      heads: c.nhead,
      ffnWidth,
      arrangement: { ...(c.norm_first ? preNorm : postNorm), finalNorms: true },
      activation: c.activation === "gelu" ? gelu : relu,
      epsilon: c.layer_norm_eps,
    });
    const model = stacks(parts);
    const attentionNames = (theirs: string, ours: string): NameRule[] => [
      ...fusedLinearNames(
        [`${theirs}.in_proj_weight`, `${theirs}.in_proj_bias`],
        ["query", "key", "value"].map((part) => `${ours}.${part}`),
        width,
        width,
      ),
      ...linearNames(`${theirs}.out_proj`, `${ours}.out`, width, width),
    ];
    const ffnNames = (theirs: string, ours: string): NameRule[] => [
      ...linearNames(`${theirs}.linear1`, `${ours}.ffn.in`, width, ffnWidth),
      ...linearNames(`${theirs}.linear2`, `${ours}.ffn.out`, ffnWidth, width),
    ];
    return {
      model,
      category: "stacks",
      names: [
        ...layerNames(c.num_encoder_layers, (i) => {
          const [theirs, ours] = [`encoder.layers.${i}`, `encoder.blocks.${i}`];
          return [
            ...attentionNames(`${theirs}.self_attn`, `${ours}.mixer`),
            ...normNames(`${theirs}.norm1`, `${ours}.mixerNorm`, width),
            ...ffnNames(theirs, ours),
            ...normNames(`${theirs}.norm2`, `${ours}.ffnNorm`, width),
          ];
        }),
        ...normNames("encoder.norm", "encoder.finalNorm", width),
        ...layerNames(c.num_decoder_layers, (i) => {
          const [theirs, ours] = [`decoder.layers.${i}`, `decoder.blocks.${i}`];
          return [
            ...attentionNames(`${theirs}.self_attn`, `${ours}.mixer`),
            ...normNames(`${theirs}.norm1`, `${ours}.mixerNorm`, width),
            ...attentionNames(`${theirs}.multihead_attn`, `${ours}.cross`),
            ...normNames(`${theirs}.norm2`, `${ours}.crossNorm`, width),
            ...ffnNames(theirs, ours),
            ...normNames(`${theirs}.norm3`, `${ours}.ffnNorm`, width),
          ];
        }),
        ...normNames("decoder.norm", "decoder.finalNorm", width),
      ],
      probe: probe(model, options.makeView ?? makeView),
    };
  },
};

const masks = [
  "src_key_padding_mask",
  "tgt_key_padding_mask",
  "memory_key_padding_mask",
  "src_mask",
  "tgt_mask",
  "memory_mask",
];

function probe(model: Stacks, see: typeof makeView): Probe {
  return {
    inputs: {
      src: floatInput,
      tgt: floatInput,
      R: floatInput,
      ...Object.fromEntries(masks.map((name): [string, InputRule] => [name, maskInput])),
    },
    padded: { out: "tgt_key_padding_mask", memory: "src_key_padding_mask" },
    run: (params, inputs, context, { what }) => {
      const { src, tgt, R: weights } = inputs;
      if (src === undefined || tgt === undefined) throw new Error("expected src [B, S, C] and tgt [B, T, C]");
      const given = params as StacksParams;
      const [S, T] = [src.shape[1]!, tgt.shape[1]!];
      const view = (pattern: Pattern, queries: number, keys: number, padding?: Tensor, hiding?: Tensor): View => {
        const keyMask = padding && sub(1, padding);
        return see({ pattern, queries, keys, ...present({ keyMask, scores: hiding && hide(hiding) }) });
      };
      const sourceView = view(fullPattern, S, S, inputs.src_key_padding_mask, inputs.src_mask);
      const memory = model.encode(given, { x: src, view: () => sourceView, state: {} }, context).x;
      const targetView = view(
        isCausal(what) ? causal : fullPattern,
        T,
        T,
        inputs.tgt_key_padding_mask,
        inputs.tgt_mask,
      );
      const memoryView = view(fullPattern, T, S, inputs.memory_key_padding_mask, inputs.memory_mask);
      const entries = model.crossKeysAndValues(given, memory, {});
      const target = { x: tgt, view: () => targetView, state: {}, source: { entries, view: memoryView } };
      const out = model.decode(given, target, context).x;
      return {
        memory,
        out,
        ...(weights !== undefined && { loss: weighted(out, weights, inputs.tgt_key_padding_mask) }),
      };
    },
  };
}

/** Whether the target is causal, which the case's description states instead of a stored mask. */
function isCausal(what: string): boolean {
  return /\bcausal\b/i.test(what) && !/\b(no|not|non|without)\b[ -]*(a )?causal/i.test(what);
}

/** Hides pairs where the mask [T, S] is 1. */
function hide(hiding: Tensor): () => Score {
  const own = where(cast(hiding, "bool"), hidden, 0);
  return () => ({ logits: (logits) => add(logits, own) });
}

/** `Σ out ∘ weights` over the positions that are not padding. */
function weighted(out: Tensor, weights: Tensor, padding: Tensor | undefined): Tensor {
  const products = mul(out, weights);
  return sum(padding === undefined ? products : mul(products, expandDims(sub(1, cast(padding, "float32")), -1)));
}
