import {
  add,
  broadcastTo,
  cast,
  concat,
  equal,
  expandDims,
  iota,
  matmul,
  mul,
  type NDArray,
  pad,
  reshape,
  scatterAlongAxis,
  sub,
  type Tensor,
  takeAlongAxis,
  topK,
  transpose,
  where,
  zeros,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import { type InputRule, maskInput, type NamedTensors } from "./format.ts";

/** The inputs that say which tokens are global: padding never is. */
export const globalInputs: Readonly<Record<"global_attention_mask" | "attention_mask", InputRule>> = {
  global_attention_mask: maskInput,
  attention_mask: maskInput,
};

/** How many tokens of a row are global at most: as wide is a part of transformers' maps. */
export function mostGlobals(inputs: Readonly<Record<string, NDArray>>): { mostGlobals: number } {
  const { global_attention_mask: globals, attention_mask: mask } = inputs;
  if (globals === undefined) return { mostGlobals: 0 };
  const length = globals.shape[1]!;
  const real = mask?.toNumbers();
  const counts = new Array<number>(globals.shape[0]!).fill(0);
  globals.toNumbers().forEach((global, i) => {
    if (global !== 0 && real?.[i] !== 0) counts[Math.floor(i / length)]! += 1;
  });
  return { mostGlobals: Math.max(...counts) };
}

export type LongformerMapsOptions = {
  readonly inputs: NamedTensors;
  /** As {@link mostGlobals} counts them; as many slots the model has. */
  readonly count: number;
  /** Of each layer. */
  readonly windows: readonly number[];
};

/**
 * Longformer's maps as transformers gives them out. `attn`: for each query the weights of the global tokens, then of the w + 1 positions of its
 * window, 0 for those that are global themselves and in rows of padding and of global tokens. `global_attn`: what each global token looks at,
 * over the length padded to whole windows; slots that a row does not fill look at everything alike.
 *
 * @shape  attn [B, H, T, G + w + 1], global_attn [B, H, S, G]
 */
export function longformerMaps(
  maps: readonly (() => AttentionMap)[],
  prefix: string,
  { inputs, count, windows }: LongformerMapsOptions,
): NamedTensors {
  const [batch, length] = inputs.input_ids!.shape as [number, number];
  const one = (mask: Tensor | undefined, none: number): Tensor =>
    mask === undefined ? add(zeros([batch, length]), none) : cast(mask, "float32");
  const real = one(inputs.attention_mask, 1);
  const isGlobal = mul(one(inputs.global_attention_mask, 0), real);
  const results: Record<string, Tensor> = {};
  maps.forEach((read, layer) => {
    const map = read();
    const answered = reshape(mul(real, sub(1, isGlobal)), [batch, 1, length, 1]);
    const weights = mul(denseWeights(map, length), answered);
    const near = mul(weights, reshape(sub(1, isGlobal), [batch, 1, 1, length]));
    const columns = windowColumns(near, windows[layer]!);
    if (count === 0) {
      results[`${prefix}attn${layer}`] = columns;
      return;
    }
    const { values: held, indices } = topK(isGlobal, count, 1);
    const hot = mul(cast(equal(expandDims(indices, 2), iota(length)), "float32"), expandDims(held, 2));
    const globalColumns = matmul(weights, expandDims(hot, 1), { transposeB: true });
    results[`${prefix}attn${layer}`] = concat([globalColumns, columns], -1);
    const whole = Math.max(...windows);
    const padded = Math.ceil(length / whole) * whole;
    const wide = pad(transpose(map.apart!.weights, [0, 1, 3, 2]), [
      [0, 0],
      [0, 0],
      [0, padded - length],
      [0, 0],
    ]);
    const filled = equal(reshape(held, [batch, 1, 1, count]), 1);
    results[`${prefix}global_attn${layer}`] = where(filled, wide, 1 / padded);
  });
  return results;
}

/** [B, H, T, S] of a map over all keys or some. */
function denseWeights({ weights, keys }: AttentionMap, length: number): Tensor {
  if (keys === undefined) return weights;
  const none = zeros([...weights.shape.slice(0, 3), length]);
  return scatterAlongAxis(none, broadcastTo(keys, weights.shape), weights, -1);
}

/** [B, H, T, S] → [B, H, T, w + 1]: for query t the weights of keys t − w/2 … t + w/2, 0 where there are none. */
function windowColumns(weights: Tensor, window: number): Tensor {
  const [batch, heads, length] = weights.shape as [number, number, number, number];
  const padded = pad(weights, [
    [0, 0],
    [0, 0],
    [0, 0],
    [window / 2, window / 2],
  ]);
  const at = add(expandDims(iota(length), 1), iota(window + 1));
  return takeAlongAxis(padded, broadcastTo(at, [batch, heads, length, window + 1]), -1);
}
