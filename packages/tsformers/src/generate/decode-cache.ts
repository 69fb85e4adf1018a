import {
  add,
  compile,
  type Device,
  type Given,
  gather,
  iota,
  type NDArray,
  type OnDevice,
  pad,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import type { KeyValueCache } from "../attention/kinds.ts";
import type { LanguageModel } from "../models/language-model.ts";

type Layers = readonly KeyValueCache[];

/** Where keys and values of the positions read so far are kept between passes. */
export type DecodeCache = {
  /** What a pass reads. */
  readonly layers: Given<Layers>;
  /** Positions there is room for. */
  readonly capacity: number;
  /** Inside the trace: what a pass of `width` tokens behind `length` others gives out. */
  results(entries: Layers, length: Tensor, width: number): Layers;
  /** Keeps what a pass gave out. */
  keep(results: OnDevice<Layers>, length: number): Promise<void>;
  /** Makes room for as many positions again until there are enough. The first `length` are kept. */
  grow(needed: number, length: number): Promise<void>;
  release(): Promise<void>;
};

const smallestCapacity = 64;

/** The capacity that holds `length` positions: 64, 128, 256, … */
export function capacityFor(length: number): number {
  return Math.max(smallestCapacity, 2 ** Math.ceil(Math.log2(length)));
}

/** The cache that suits a device. */
export function decodeCache(model: LanguageModel<never>, device: Device): DecodeCache {
  return device.sharesMemory ? sharedCache(model) : deviceCache(model, device);
}

/**
 * A cache in memory that the device reads where it lies. A pass gives out its own positions only, which are written behind
 * the others here: everything that ONNX Runtime gives out in Node is copied once more into fresh memory.
 */
function sharedCache(model: LanguageModel<never>): DecodeCache {
  let layers: { key: NDArray; value: NDArray }[] = [];
  let capacity = 0;
  return {
    get layers() {
      return layers;
    },
    get capacity() {
      return capacity;
    },
    results: (entries, length, width) => {
      const own = (entry: Tensor) => gather(entry, add(iota(width), length), 2);
      return entries.map(({ key, value }) => ({ key: own(key), value: own(value) }));
    },
    keep: async (results, length) => {
      const rows = (await readTree(results)) as { key: NDArray; value: NDArray }[];
      layers.forEach(({ key, value }, i) => {
        writeRows(key, rows[i]!.key, length);
        writeRows(value, rows[i]!.value, length);
      });
    },
    grow: async (needed, length) => {
      const before = layers;
      capacity = capacityFor(needed);
      layers = model.emptyCache(1, capacity);
      if (length === 0) return;
      before.forEach(({ key, value }, i) => {
        writeRows(layers[i]!.key, key, 0);
        writeRows(layers[i]!.value, value, 0);
      });
    },
    release: async () => {
      layers = [];
      capacity = 0;
    },
  };
}

/** Copies rows [1, K, T, D] into a cache [1, K, L, D] from position `first` on, as many as fit. */
function writeRows(cache: NDArray, rows: NDArray, first: number): void {
  const [, heads, capacity, width] = cache.shape as [number, number, number, number];
  const count = Math.min(rows.shape[2]!, capacity - first);
  for (let head = 0; head < heads; head++) {
    const from = head * rows.shape[2]! * width;
    const part = (rows.data as Float32Array).subarray(from, from + count * width);
    (cache.data as Float32Array).set(part, (head * capacity + first) * width);
  }
}

/** A cache that stays on the device: a pass gives out the whole, and the buffers of the one before it are used again. */
function deviceCache(model: LanguageModel<never>, device: Device): DecodeCache {
  let layers: OnDevice<Layers> = [];
  let capacity = 0;
  const double = compile(doubled, { device });
  return {
    get layers() {
      return layers as Given<Layers>;
    },
    get capacity() {
      return capacity;
    },
    results: (entries) => entries,
    keep: async (results) => {
      layers = results;
    },
    grow: async (needed, length) => {
      if (length === 0) {
        capacity = capacityFor(needed);
        const empty = model.emptyCache(1, capacity);
        layers = empty.map(({ key, value }) => ({ key: device.put(key), value: device.put(value) }));
      }
      for (; capacity < needed; capacity *= 2) layers = await double(layers as Given<Layers>);
    },
    release: async () => {
      layers = [];
      capacity = 0;
      await double.release();
    },
  };
}

/** The same entries with as much room again behind them. */
function doubled(layers: Layers): Layers {
  const twice = (x: Tensor): Tensor => {
    const none = [0, 0] as const;
    return pad(x, [none, none, [0, x.shape[2]!], none]);
  };
  return layers.map(({ key, value }) => ({ key: twice(key), value: twice(value) }));
}
