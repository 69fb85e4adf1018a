import {
  add,
  type Compiled,
  compile,
  concat,
  type Device,
  type DeviceArray,
  fromNumbers,
  full,
  type Given,
  matmul,
  mul,
  NDArray,
  neg,
  ones,
  readTree,
  sum,
  type Tensor,
  takeAlongAxis,
  topK,
} from "@tsformers/engine";
import type { Datastore } from "./datastore.ts";

/** The nearest entries of Q queries, nearest first, each list [Q, k]. */
export type Neighbours = {
  readonly k: number;
  /** Exact: computed from the keys themselves. */
  readonly squaredDistances: Float32Array;
  readonly entries: Int32Array;
  /** The tokens that followed. */
  readonly values: Int32Array;
};

/** Finds entries of a datastore near queries. */
export type NeighbourSearch = {
  /**
   * @param queries [Q, C]
   * @throws RangeError when there are fewer than k entries
   */
  search(queries: Float32Array, k: number): Promise<Neighbours>;
  release(): Promise<void>;
};

export type ExactSearchOptions = {
  readonly device: Device;
  /** Bytes of keys that may stay in memory from search to search. Default: 512 MiB. */
  readonly memoryBytes?: number;
  /** Queries compared with a page at a time; more are worked through in several passes over the datastore. Default: 512. */
  readonly queriesPerPass?: number;
};

/** Per query the best of what was looked at so far: float32 and int32 [Q, k]. */
type Best = { readonly scores: Tensor; readonly entries: Tensor };

/**
 * Compares queries with every entry, page by page: a page's scores `2·q·k − |k|²`, which order as distances do, are merged with the best of the
 * pages before. Pages that do not fit into memory are read again for each pass, one while the other is searched.
 *
 * @cost O(Q·N·C) time, memory for `memoryBytes` of keys, two pages, and the scores of one page
 */
export function exactSearch(store: Datastore, options: ExactSearchOptions): NeighbourSearch {
  const { device, memoryBytes = 2 ** 29, queriesPerPass = 512 } = options;
  const { width, pageEntries } = store.record;
  const kept: { readonly keys: Float32Array; readonly placed: DeviceArray }[] = [];
  const keptPages = Math.min(store.pages, Math.floor(memoryBytes / (4 * width * pageEntries)));
  const spare = [0, 1].map(() => (keptPages < store.pages ? new Float32Array(pageEntries * width) : undefined));
  const merge = compile(mergePage, { device }) as unknown as Compiled<[Tensor, Tensor, Tensor, Best], Best>;

  const pageOf = async (page: number): Promise<NDArray | DeviceArray> => {
    const { count } = store.pageAt(page);
    const isKept = page < keptPages;
    if (isKept && kept[page] !== undefined) return kept[page].placed;
    const room = isKept ? new Float32Array(count * width) : spare[page % 2]!;
    await store.readPage(page, room);
    const array = new NDArray([count, width], "float32", room.subarray(0, count * width));
    if (!isKept) return array;
    kept[page] = { keys: room, placed: device.put(array) };
    return kept[page].placed;
  };

  const one = new Float32Array(width);
  const keyOf = (entry: number): Float32Array => {
    const inMemory = kept[Math.floor(entry / pageEntries)];
    if (inMemory !== undefined) {
      const at = (entry % pageEntries) * width;
      return inMemory.keys.subarray(at, at + width);
    }
    store.readKey(entry, one);
    return one;
  };

  const pass = async (queries: Float32Array, k: number): Promise<Neighbours> => {
    const rows = queries.length / width;
    const all = new NDArray([rows, width], "float32", queries);
    let best = { scores: full([rows, k], -Infinity), entries: full([rows, k], 0, "int32") } as Given<Best>;
    let next = pageOf(0);
    for (let page = 0; page < store.pages; page++) {
      const keys = await next;
      const first = fromNumbers([store.pageAt(page).first], [], "int32");
      const merged = merge(all, keys, first, best);
      // The other buffer: this one is being searched.
      if (page + 1 < store.pages) next = pageOf(page + 1);
      const settled = await Promise.allSettled([merged, next]);
      for (const one of settled) if (one.status === "rejected") throw one.reason;
      best = await merged;
    }
    const { entries } = (await readTree(best as never)) as { entries: NDArray };
    return measured(store, queries, { entries: entries.data as Int32Array, k, keyOf });
  };

  return {
    search: async (queries, k) => {
      requireNeighbours(store, k);
      const rows = queries.length / width;
      const parts: Neighbours[] = [];
      for (let from = 0; from < rows; from += queriesPerPass)
        parts.push(await pass(queries.subarray(from * width, Math.min(from + queriesPerPass, rows) * width), k));
      return joined(parts, k);
    },
    release: async () => {
      await merge.release();
      for (const { placed } of kept) placed.dispose();
      kept.length = 0;
    },
  };
}

/** Inside the trace: queries [Q, C] compared with the keys of a page [P, C], whose first entry has the number `first`. */
function mergePage(queries: Tensor, keys: Tensor, first: Tensor, best: Best): Best {
  const k = best.scores.shape[1]!;
  // One product gives the scores: [2q, 1]·[k, −|k|²].
  const sought = concat([mul(queries, 2), ones([queries.shape[0]!, 1])], 1);
  const offered = concat([keys, neg(sum(mul(keys, keys), { axes: -1, keepDims: true }))], 1);
  const scores = matmul(sought, offered, { transposeB: true });
  const page = topK(scores, Math.min(k, keys.shape[0]!));
  // Of equal scores the entry with the lower number comes first, since earlier pages do.
  const together = topK(concat([best.scores, page.values], 1), k);
  const entries = concat([best.entries, add(page.indices, first)], 1);
  return { scores: together.values, entries: takeAlongAxis(entries, together.indices, 1) };
}

/** @throws RangeError when a datastore has fewer than k entries */
export function requireNeighbours({ directory, record: { entries } }: Datastore, k: number): void {
  if (!(Number.isSafeInteger(k) && k >= 1 && k <= entries))
    throw new RangeError(`${directory}: expected 1 to ${entries} neighbours, as many as it has entries, got ${k}`);
}

/** Distances of queries [Q, C] to the entries that were found for them, [Q, k], and their order by these distances. */
export function measured(
  store: Datastore,
  queries: Float32Array,
  found: { readonly entries: Int32Array; readonly k: number; keyOf(entry: number): Float32Array },
): Neighbours {
  const { width } = store.record;
  const { k } = found;
  const entries = Int32Array.from(found.entries);
  const squaredDistances = new Float32Array(entries.length);
  for (let i = 0; i < entries.length; i++) {
    const query = Math.floor(i / k);
    const key = found.keyOf(found.entries[i]!);
    let distance = 0;
    for (let c = 0; c < width; c++) distance += (queries[query * width + c]! - key[c]!) ** 2;
    // They are nearly in order: a close pair changes places, of equals the earlier entry comes first.
    const [entry, exact] = [entries[i]!, Math.fround(distance)];
    const isBehind = (other: number) =>
      squaredDistances[other]! > exact || (squaredDistances[other] === exact && entries[other]! > entry);
    let at = i;
    for (; at > query * k && isBehind(at - 1); at--) {
      squaredDistances[at] = squaredDistances[at - 1]!;
      entries[at] = entries[at - 1]!;
    }
    squaredDistances[at] = exact;
    entries[at] = entry;
  }
  return { k, squaredDistances, entries, values: entries.map((entry) => store.values[entry]!) };
}

export function joined(parts: readonly Neighbours[], k: number): Neighbours {
  if (parts.length === 1) return parts[0]!;
  const all = <T extends Float32Array | Int32Array>(make: new (size: number) => T, of: (part: Neighbours) => T): T => {
    const whole = new make(parts.reduce((size, part) => size + of(part).length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(of(part), at);
      at += of(part).length;
    }
    return whole;
  };
  return {
    k,
    squaredDistances: all(Float32Array, (part) => part.squaredDistances),
    entries: all(Int32Array, (part) => part.entries),
    values: all(Int32Array, (part) => part.values),
  };
}
