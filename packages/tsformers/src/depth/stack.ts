import { add, cast, type Tensor } from "@tsformers/engine";
import type { Block } from "../blocks/block.ts";
import type { AttentionMap, KeyValueCache, MixerInput, Slots, View } from "../kinds/index.ts";
import type { Context } from "../kinds/layer.ts";
import { within } from "../nn/dropout.ts";
import type { Norm, NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";

/** Keys and values of every layer, none before the first position, and how many positions came before (int32 scalar). */
export type StackCache = {
  readonly layers: readonly KeyValueCache[];
  readonly length: Tensor;
  /** Where each layer's stand; position i in slot i unless told. */
  readonly slots?: readonly Slots[];
};

export type StackOutput = {
  /** [B, T, C], after the final norm. */
  readonly x: Tensor;
  /** Input of the first block, then the output of each; the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** What each layer looked at. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** Present when a cache went in. */
  readonly cache?: readonly KeyValueCache[];
  /** What mixers want added to the training loss. */
  readonly loss?: Tensor;
  /** Present when it went in: what mixers carry, after this pass. */
  readonly carried?: CarriedLayers;
  /** Present when it went in: the state of each layer after this position. */
  readonly past?: readonly unknown[];
};

/** What the mixers of some layers carry from one training step to the next, by the number of the layer. */
export type CarriedLayers = Readonly<Record<string, unknown>>;

export type StackInput = {
  readonly x: Tensor;
  /** What all layers see, or each. */
  readonly view: View | ((layer: number) => View);
  readonly cache?: StackCache;
  readonly finalNorm?: ReturnType<Norm>;
  /** Vectors of positions added to the input of each layer, [T, C] or [B, T, C]. */
  readonly input?: (layer: number) => Tensor;
  readonly carried?: CarriedLayers;
  readonly past?: StackPast;
};

/** The states of all layers, when x is one position, and where that stands (int32 scalar). */
export type StackPast = {
  readonly layers: readonly unknown[];
  readonly position: Tensor;
  /** For layers that keep keys and values, where those stand; position i in slot i unless told. */
  readonly slots?: readonly Slots[];
};

/** What one layer is given of a cache. */
export function cacheOfLayer({ layers, length, slots }: StackCache, layer: number): MixerInput["cache"] {
  return { entries: layers[layer], length, slots: slots?.[layer] };
}

/** Blocks one after the other, `x ← block(x)`, then the final norm where there is one. */
export function runStack(
  blocks: readonly Block[],
  params: { readonly blocks: readonly unknown[]; readonly finalNorm?: NormParams },
  { x, view, cache, finalNorm, input, carried, past }: StackInput,
  context: Context,
): StackOutput {
  const seen = typeof view === "function" ? view : () => view;
  let y = x;
  const hidden = [x];
  const maps: (() => AttentionMap)[] = [];
  const caches: KeyValueCache[] = [];
  const losses: Tensor[] = [];
  const states: unknown[] = [];
  const next: Record<string, unknown> = {};
  blocks.forEach((block, i) => {
    const held = present({ cache: cache && cacheOfLayer(cache, i) });
    const placed = input === undefined ? y : add(y, cast(input(i), y.dtype));
    const state = past && { state: past.layers[i], position: past.position, slots: past.slots?.[i] };
    const own = present({ carried: carried?.[i], past: state });
    const out = block.apply(params.blocks[i], { x: placed, view: seen(i), ...held, ...own }, within(context, i));
    y = out.y;
    hidden.push(y);
    if (out.map !== undefined) maps.push(out.map);
    if (out.cache !== undefined) caches.push(out.cache);
    if (out.loss !== undefined) losses.push(out.loss);
    if (out.carried !== undefined) next[i] = out.carried;
    states.push(out.past);
  });
  if (finalNorm !== undefined) {
    y = finalNorm.apply(params.finalNorm!, y);
    hidden[hidden.length - 1] = y;
  }
  return {
    x: y,
    hidden,
    maps,
    ...(cache === undefined ? {} : { cache: caches }),
    ...(losses.length === 0 ? {} : { loss: losses.reduce((a, b) => add(a, b)) }),
    ...(carried === undefined ? {} : { carried: next }),
    ...(past === undefined ? {} : { past: states }),
  };
}
