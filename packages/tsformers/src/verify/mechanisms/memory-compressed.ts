import { reshape } from "@tsformers/engine";
import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { blocksAsFeatures } from "../../attention/memory-compressed/compressed-blocks.ts";
import { memoryCompressed as mixer } from "../../attention/memory-compressed/memory-compressed.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { linear } from "../../nn/linear.ts";
import { identity } from "./identity.ts";

const options = z.strictObject({
  causal: z.boolean(),
  factor: z.int().positive(),
  heads: z.int().positive(),
});

/** Memory-compressed attention: x [B, T, C], conv_w [factor, C, C], conv_b [C], Wq, Wk, Wv [C, C]; no output projection. */
export const memoryCompressed: Mechanism = {
  run({ x, conv_w, conv_b, Wq, Wk, Wv }, given) {
    const { causal, factor, heads } = options.parse(given);
    const [, length, modelWidth] = x!.shape as [number, number, number];
    const [taps, from, to] = conv_w!.shape as [number, number, number];
    if (taps !== factor) throw new RangeError(`memory_compressed: conv_w has ${taps} taps, expected ${factor}`);
    const convolution = { weight: reshape(conv_w!, [taps * from, to]), bias: conv_b! };
    const params = {
      query: { weight: Wq! },
      key: { weight: Wk! },
      value: { weight: Wv! },
      compress: { inputs: convolution },
      out: { weight: identity(modelWidth) },
    };
    const view = makeView({ pattern: fullPattern, queries: length, keys: length });
    const layer = mixer({ modelWidth, heads, causal, factor, last: "dropped" });
    const { y, map } = layer.apply(params, { x: x!, view }, evaluation);
    const compressed = linear(taps * from, to).apply(convolution, blocksAsFeatures(x!, factor, "dropped"));
    return { out: y, probs: map!().weights, compressed };
  },
};
