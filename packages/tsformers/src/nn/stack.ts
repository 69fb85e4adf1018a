import type { Tensor } from "@tsformers/engine";
import type { KeyValueCache, View } from "../attention/kinds.ts";
import type { Block } from "./block.ts";
import { within } from "./dropout.ts";
import type { Context } from "./layer.ts";
import type { Norm, NormParams } from "./norm.ts";

/** Keys and values of every layer, and how many positions they hold (int32 scalar). */
export type StackCache = { readonly layers: readonly KeyValueCache[]; readonly length: Tensor };

export type StackOutput = {
  /** [B, T, C], after the final norm. */
  readonly x: Tensor;
  /** Input of the first block, then the output of each; the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** Attention probabilities of each layer, [B, H, T, S]. Cost nothing unless used. */
  readonly probabilities: readonly Tensor[];
  /** Present when a cache went in. */
  readonly cache?: readonly KeyValueCache[];
};

/** Blocks one after the other, `x ← block(x)`, then the final norm where there is one. */
export function runStack(
  blocks: readonly Block[],
  params: { readonly blocks: readonly unknown[]; readonly finalNorm?: NormParams },
  { x, view, cache, finalNorm }: { x: Tensor; view: View; cache?: StackCache; finalNorm?: ReturnType<Norm> },
  context: Context,
): StackOutput {
  let y = x;
  const hidden = [x];
  const probabilities: Tensor[] = [];
  const caches: KeyValueCache[] = [];
  blocks.forEach((block, i) => {
    const held = cache === undefined ? {} : { cache: { entries: cache.layers[i]!, length: cache.length } };
    const out = block.apply(params.blocks[i], { x: y, view, ...held }, within(context, i));
    y = out.y;
    hidden.push(y);
    probabilities.push(out.probabilities);
    if (out.cache !== undefined) caches.push(out.cache);
  });
  if (finalNorm !== undefined) {
    y = finalNorm.apply(params.finalNorm!, y);
    hidden[hidden.length - 1] = y;
  }
  return { x: y, hidden, probabilities, ...(cache === undefined ? {} : { cache: caches }) };
}
