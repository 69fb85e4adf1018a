import {
  compile,
  type Device,
  type Given,
  gather,
  type NDArray,
  type OnDevice,
  pad,
  readTree,
  slice,
  type Tensor,
} from "@tsformers/engine";
import { emptyCacheOf } from "../blocks/block.ts";
import type { BlockTraits, KeyValueCache } from "../kinds/index.ts";
import { type Kept, ringSize, slotCount, slotOf } from "./decode-slots.ts";

type Layers = readonly KeyValueCache[];

/** Key/value cache of the positions read so far. */
export type DecodeCache = {
  /** Whether a single token's keys and values follow those kept, as a longer pass's do, instead of being written among them at once. */
  readonly appends: boolean;
  /** Inputs of a pass. */
  readonly layers: Given<Layers>;
  /** Positions there is room for, at most as many as any layer keeps. */
  readonly capacity: number;
  /** Whether there is too little room for `length` positions. */
  needsMore(length: number): boolean;
  /** While tracing: the part of a layer's keys and values that the pass outputs; `entries` includes the `width` new positions. */
  result(entries: KeyValueCache, pass: PassSlots): KeyValueCache;
  /** Stores the outputs of a pass of `count` tokens that follows `length` others. */
  keep(results: OnDevice<Layers>, length: number, count: number): Promise<void>;
  /** Doubles the room until `needed` positions fit. The first `length` are kept. */
  grow(needed: number, length: number): Promise<void>;
  /** Before another sequence: numbers that are not finite would be felt even in slots that nothing sees, since 0 · NaN is NaN. */
  clear(): void;
  release(): Promise<void>;
};

/** Where a pass finds and puts its own keys and values. */
export type PassSlots = {
  readonly width: number;
  /** New contents of the slots, if the device has to arrange them. */
  readonly next?: Tensor;
};

const smallestCapacity = 64;

/** The capacity for `length` positions: 64, 128, 256, … */
export function capacityFor(length: number): number {
  return Math.max(smallestCapacity, 2 ** Math.ceil(Math.log2(length)));
}

/** The kind of cache that suits a device, for layers that keep `kept`. */
export function decodeCache(
  layers: readonly BlockTraits[],
  kept: readonly Kept[],
  device: Device,
  rows: number,
): DecodeCache {
  const empty = (capacity: number) =>
    layers.map((block, layer) => emptyCacheOf(block, rows, slotCount(kept[layer]!, capacity)));
  return device.sharesMemory ? sharedCache(empty, kept) : deviceCache(empty, kept, device);
}

/** An empty cache with room for so many positions. */
type EmptyCache = (capacity: number) => { key: NDArray; value: NDArray }[];

/** The capacity for `length` positions, at most as many as any layer keeps. */
function capacityOf(kept: readonly Kept[], length: number): number {
  return Math.min(capacityFor(length), Math.max(...kept.map(({ window }) => window + 1)));
}

/**
 * A cache in host memory, which the device reads in place. A pass outputs only its own positions, which are copied into their
 * slots here, since everything that ONNX Runtime outputs in Node is copied into fresh memory.
 */
function sharedCache(empty: EmptyCache, kept: readonly Kept[]): DecodeCache {
  let layers: { key: NDArray; value: NDArray }[] = [];
  let capacity = 0;
  return {
    appends: true,
    get layers() {
      return layers;
    },
    get capacity() {
      return capacity;
    },
    needsMore: (length) => capacityOf(kept, length) > capacity,
    result: ({ key, value }, { width }) => ({ key: lastOf(key, width), value: lastOf(value, width) }),
    keep: async (results, length, count) => {
      const given = (await readTree(results)) as { key: NDArray; value: NDArray }[];
      layers.forEach(({ key, value }, layer) => {
        const own = kept[layer]!;
        const ring = ringSize(own, capacity);
        for (let row = 0; row < count; ) {
          const slot = slotOf(own, ring, length + row);
          let rows = 1;
          while (row + rows < count && slotOf(own, ring, length + row + rows) === slot + rows) rows++;
          writeRows(key, given[layer]!.key, { row, slot, rows });
          writeRows(value, given[layer]!.value, { row, slot, rows });
          row += rows;
        }
      });
    },
    grow: async (needed, length) => {
      const before = layers;
      capacity = capacityOf(kept, needed);
      layers = empty(capacity);
      if (length === 0) return;
      before.forEach(({ key, value }, layer) => {
        const all = { row: 0, slot: 0, rows: key.shape[2]! };
        writeRows(layers[layer]!.key, key, all);
        writeRows(layers[layer]!.value, value, all);
      });
    },
    clear: () => {
      for (const { key, value } of layers) for (const { data } of [key, value]) (data as Float32Array).fill(0);
    },
    release: async () => {
      layers = [];
      capacity = 0;
    },
  };
}

/** The last `width` positions of keys or values [B, K, L, D]. */
function lastOf(x: Tensor, width: number): Tensor {
  return slice(x, 2, x.shape[2]! - width);
}

/** Copies positions of [B, K, T, D] into slots of a cache [B, K, L, D], one after the other from `row` and `slot` on. */
function writeRows(cache: NDArray, from: NDArray, at: { row: number; slot: number; rows: number }): void {
  const [batch, heads, capacity, width] = cache.shape as [number, number, number, number];
  for (let head = 0; head < batch * heads; head++) {
    const first = (head * from.shape[2]! + at.row) * width;
    const part = (from.data as Float32Array).subarray(first, first + at.rows * width);
    (cache.data as Float32Array).set(part, (head * capacity + at.slot) * width);
  }
}

/** A cache that stays on the device: a pass outputs the whole cache, and the buffers of the previous one are reused. */
function deviceCache(empty: EmptyCache, kept: readonly Kept[], device: Device): DecodeCache {
  let layers: OnDevice<Layers> = [];
  let capacity = 0;
  const widen = compile(widened, { device });
  const onDevice = (): OnDevice<Layers> =>
    empty(capacity).map(({ key, value }) => ({ key: device.put(key), value: device.put(value) }));
  return {
    appends: false,
    get layers() {
      return layers as Given<Layers>;
    },
    get capacity() {
      return capacity;
    },
    needsMore: (length) => capacityOf(kept, length) > capacity,
    result: (entries, { next }) => {
      if (next === undefined) return entries;
      return { key: gather(entries.key, next, 2), value: gather(entries.value, next, 2) };
    },
    keep: async (results) => {
      layers = results;
    },
    grow: async (needed, length) => {
      const before = capacity;
      capacity = capacityOf(kept, needed);
      if (length === 0) {
        layers = onDevice();
        return;
      }
      const more = kept.map((own) => slotCount(own, capacity) - slotCount(own, before));
      layers = await widen(layers as Given<Layers>, more as never);
    },
    clear: () => {
      if (layers.length > 0) layers = onDevice();
    },
    release: async () => {
      layers = [];
      capacity = 0;
      await widen.release();
    },
  };
}

/** The same entries with `more` slots at the end of each layer. */
function widened(layers: Layers, more: readonly number[]): Layers {
  return layers.map(({ key, value }, layer) => {
    const none = [0, 0] as const;
    const wide = (x: Tensor) => pad(x, [none, none, [0, more[layer]!], none]);
    return { key: wide(key), value: wide(value) };
  });
}
