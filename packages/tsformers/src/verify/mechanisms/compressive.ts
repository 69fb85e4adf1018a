import {
  concat,
  constant,
  expandDims,
  isNdArray,
  mapTree,
  mul,
  reshape,
  slice,
  sqrt,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { behindMemory } from "../../attention/patterns/behind-memory.ts";
import { causal } from "../../attention/patterns/pattern.ts";
import { attention } from "../../attention/softmax/attention.ts";
import type { SoftmaxMixer } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { attentionReconstruction } from "../../memory/compression-losses.ts";
import { convolution, maxPooling, meanPooling } from "../../memory/compressions.ts";
import { compressiveMemory } from "../../memory/compressive-memory.ts";
import { type CompressiveState, moveOn } from "../../memory/compressive-segment.ts";
import { newest, seenOf } from "../../memory/segment-memory.ts";
import { identity } from "./identity.ts";

const makers = { mean: meanPooling, max: maxPooling, conv: convolution };

const options = z.strictObject({
  compression: z.enum(["mean", "max", "conv"]),
  output: z.enum(["attention", "reconstruction"]),
  segment: z.int().positive(),
  mem_len: z.int().positive(),
  cmem_len: z.int().positive(),
  ratio: z.int().positive(),
  heads: z.int().positive(),
});

/**
 * A layer with both memories over segments [N, B, T, C], without positions: Wq, Wk, Wv [C, C], conv_w [c, C, C] and conv_b [C], no output
 * projection. What the memories hold after segment n is `mem_seg<n>` and `cmem_seg<n>`, without what was never read.
 */
export const compressive: Mechanism = {
  run({ segments, Wq, Wk, Wv, conv_w, conv_b }, given) {
    const { compression: kind, output, mem_len, cmem_len, ratio, heads } = options.parse(given);
    const [count, batch, queries, modelWidth] = segments!.shape as [number, number, number, number];
    const sizes = { modelWidth, memoryLength: mem_len, compressedLength: cmem_len, compressionRate: ratio };
    const rates = { modelWidth, rate: ratio };
    const mixer = attention({ modelWidth, heads, bias: false });
    const attentionParams = {
      query: { weight: Wq! },
      key: { weight: Wk! },
      value: { weight: Wv! },
      out: { weight: identity(modelWidth) },
    };
    const params = {
      attention: attentionParams,
      ...(kind === "conv" && {
        compression: { weight: reshape(conv_w!, [ratio * modelWidth, modelWidth]), bias: conv_b! },
      }),
    };
    const layer = compressiveMemory(mixer, { ...sizes, compression: makers[kind] });
    const { length: memory, init } = layer.segment!;
    const view = makeView({ pattern: behindMemory(causal, memory), queries, keys: memory + queries, memory });
    const parts = { mixer, options: sizes, compression: makers[kind](rates) };

    let past = mapTree(init(batch), isNdArray, (array) => constant(array)) as CompressiveState;
    const results: Record<string, Tensor> = {};
    const outs: Tensor[] = [];
    const errors: Tensor[] = [];
    for (let n = 0; n < count; n++) {
      const x = reshape(slice(segments!, 0, n, n + 1), [batch, queries, modelWidth]);
      const read = { vectors: x, seen: seenOf(undefined, x) };
      const { old, compressed } = moveOn(parts, params, past, read);
      const { y, losses, state } = layer.apply(params, { x, view, state: { segment: past } }, evaluation);
      past = state!.segment as CompressiveState;
      outs.push(expandDims(y, 0));
      const left = Math.max((n + 1) * queries - mem_len, 0);
      results[`mem_seg${n}`] = newest(past.memory.vectors, (n + 1) * queries - left);
      results[`cmem_seg${n}`] = newest(past.compressed.vectors, Math.min(left / ratio, cmem_len));
      if (left === 0) continue;
      // Pooling has nothing to learn, and so no loss in a model.
      const around = { mixer: mixer as SoftmaxMixer<unknown>, params: params.attention, read, old, compressed };
      const error = losses?.reconstruction ?? attentionReconstruction(rates).apply(undefined, around);
      errors.push(reshape(error, [1]));
      results[`recon_l2_seg${n}`] = sqrt(mul(error, batch * queries * modelWidth));
    }
    const reconstruction = concat(errors, 0);
    return { ...results, recon_mse: reconstruction, out: output === "attention" ? concat(outs, 0) : reconstruction };
  },
};
