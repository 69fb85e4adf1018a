import {
  add,
  concat,
  expandDims,
  full as filled,
  iota,
  mul,
  reshape,
  scatterSet,
  type Tensor,
} from "@tsformers/engine";
import type { DecodePlace, KeyValueCache, Recurrent, SoftmaxMixer, View } from "../../kinds/index.ts";

/** Decodes with a key/value cache of all earlier positions, under whatever causal pattern the view has. */
export function cacheDecoding<Params>(mixer: SoftmaxMixer<Params>): Recurrent<Params, KeyValueCache> {
  const [heads, width] = mixer.cacheShape;
  return {
    start: (batch, capacity) => {
      const shape = [batch, heads, capacity, width];
      return { key: filled(shape, 0), value: filled(shape, 0) };
    },
    step: (params, x, state, { position, view, slots }) => {
      const out = mixer.apply(params, { x, view, state: { decode: state }, place: { position, slots } }, {});
      return { y: out.y, state: out.state!.decode as KeyValueCache };
    },
  };
}

/** Keys and values turned as a view turns them. */
export function rotated({ key, value }: KeyValueCache, { rotate }: Pick<View, "rotate">): KeyValueCache {
  return { key: rotate?.key(key) ?? key, value: rotate?.value?.(value) ?? value };
}

/** The keys and values of a pass: its own, and in decoding the cached ones. */
export function withOwn(
  entries: KeyValueCache | undefined,
  own: KeyValueCache,
  place: DecodePlace | undefined,
): KeyValueCache {
  if (entries === undefined || place === undefined) return own;
  const { position, slots } = place;
  if (slots === undefined) return writeRows(entries, own, add(iota(own.key.shape[2]!), position));
  if (slots.rows !== undefined) return writeRows(entries, own, slots.rows);
  return { key: concat([entries.key, own.key], 2), value: concat([entries.value, own.value], 2) };
}

/** Writes new entries into given slots (int32 [T]), with the cache seen as rows [B·K·L, D]. */
function writeRows(old: KeyValueCache, own: KeyValueCache, slots: Tensor): KeyValueCache {
  const [batch, heads, capacity, width] = old.key.shape as [number, number, number, number];
  const first = mul(iota(batch * heads), capacity);
  const rows = reshape(add(expandDims(first, 1), slots), [-1]);
  const write = (into: Tensor, entries: Tensor) =>
    reshape(scatterSet(reshape(into, [-1, width]), rows, reshape(entries, [-1, width])), [
      batch,
      heads,
      capacity,
      width,
    ]);
  return { key: write(old.key, own.key), value: write(old.value, own.value) };
}
