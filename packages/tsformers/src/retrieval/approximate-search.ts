import { existsSync, rmSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import * as z from "zod";
import { temporaryPath, writeFileAtomic } from "../io/atomic-file.ts";
import { FileError } from "../io/file-error.ts";
import { readJsonFile } from "../io/read-json.ts";
import type { Datastore } from "./datastore.ts";
import { measured, type NeighbourSearch, type Neighbours, requireNeighbours } from "./search.ts";

/** The part of the package `usearch` that is used. */
type Graph = {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(
    vectors: Float32Array,
    k: number,
    threads: number,
  ): { readonly keys: BigUint64Array; readonly counts?: BigUint64Array };
  save(path: string): void;
  view(path: string): void;
  size(): number;
};
type Usearch = { readonly Index: new (config: Readonly<Record<string, unknown>>) => Graph };

export type ApproximateSearchOptions = {
  /** Neighbours that a key is linked with. Default: 16. */
  readonly connectivity?: number;
  /** Candidates that a search keeps; more find more of the nearest ones, and take longer. Default: 256. */
  readonly candidates?: number;
  /** Called while the graph is built. */
  readonly onProgress?: (page: number, pages: number) => void;
};

const files = { graph: "hnsw.usearch", record: "hnsw.json" } as const;

const graphRecord = z.strictObject({ connectivity: z.int().positive(), sizeBytes: z.int().positive(), sum: z.int() });

/**
 * Finds most of the nearest entries by a graph in which near keys are linked (HNSW), in time that hardly grows with the datastore. Distances are
 * recomputed from the keys. The graph is built the first time and kept beside the datastore, from where it is mapped into memory.
 *
 * Needs the package `usearch`, which is installed apart: `npm install usearch`.
 *
 * @throws Error when the package is not installed; FileError when the graph is damaged, or cannot be written
 * @source Malkov & Yashunin 2018, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World Graphs",
 * arXiv:1603.09320
 * @differs the paper of kNN-LM clusters keys instead, and looks into 32 of 4,096 clusters
 */
export async function approximateSearch(
  store: Datastore,
  options: ApproximateSearchOptions = {},
): Promise<NeighbourSearch> {
  const { connectivity = 16, candidates = 256 } = options;
  const { entries, width } = store.record;
  const { Index } = await loadUsearch();
  const graph = new Index({
    dimensions: width,
    metric: "l2sq",
    connectivity,
    quantization: "f32",
    expansion_add: 128,
    expansion_search: candidates,
    multi: false,
  });
  const [path, record] = [join(store.directory, files.graph), join(store.directory, files.record)];
  if (!existsSync(record)) await build(store, graph, { ...options, connectivity, path, record });
  await requireWhole(path, record, connectivity);
  graph.view(path);
  if (graph.size() !== entries) throw new FileError(path, `holds ${graph.size()} keys, expected ${entries}; remove it`);
  const one = new Float32Array(width);
  const keyOf = (entry: number): Float32Array => {
    store.readKey(entry, one);
    return one;
  };
  return {
    search: async (queries, k) => {
      requireNeighbours(store, k);
      const found = new Int32Array((queries.length / width) * k);
      for (let q = 0; q < queries.length / width; q++) {
        const { keys } = graph.search(queries.subarray(q * width, (q + 1) * width), k, 1);
        if (keys.length < k)
          throw new Error(`${store.directory}: the graph found ${keys.length} of ${k} neighbours; ask for fewer`);
        found.set(
          Array.from(keys, (key) => Number(key)),
          q * k,
        );
      }
      return measured(store, queries, { entries: found, k, keyOf });
    },
    release: async () => {},
  };
}

/** recall@k: the share of the exact neighbours that are among others of the same queries. */
export function recallOf(found: Neighbours, exact: Neighbours): number {
  const { k, entries } = exact;
  let common = 0;
  for (let from = 0; from < entries.length; from += k) {
    const own = new Set(found.entries.subarray(from, from + k));
    for (const entry of entries.subarray(from, from + k)) if (own.has(entry)) common++;
  }
  return common / entries.length;
}

async function loadUsearch(): Promise<Usearch> {
  // By a name that compilers do not follow: it need not be installed.
  const name = "usearch";
  try {
    return (await import(name)) as Usearch;
  } catch (error) {
    throw new Error(
      `approximate search needs the package usearch, which is not installed here: npm install usearch (${(error as Error).message.split("\n")[0]})`,
    );
  }
}

type Build = ApproximateSearchOptions & {
  readonly connectivity: number;
  readonly path: string;
  readonly record: string;
};

/** The record comes last: without it the graph counts as missing. */
async function build(store: Datastore, graph: Graph, { connectivity, path, record, onProgress }: Build): Promise<void> {
  const { width, pageEntries } = store.record;
  const keys = new Float32Array(pageEntries * width);
  for (let page = 0; page < store.pages; page++) {
    const { first, count } = store.pageAt(page);
    await store.readPage(page, keys);
    const numbers = BigUint64Array.from({ length: count }, (_, i) => BigInt(first + i));
    graph.add(numbers, keys.subarray(0, count * width), 0);
    onProgress?.(page + 1, store.pages);
  }
  const temporary = temporaryPath(path);
  try {
    graph.save(temporary);
    const file = await open(temporary, "r");
    await file.sync();
    await file.close();
    const bytes = await readFile(temporary);
    const about = { connectivity, sizeBytes: bytes.length, sum: crc32(bytes) };
    await rename(temporary, path);
    await writeFileAtomic(record, `${JSON.stringify(about)}\n`);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** @throws FileError when a graph is not the one that its record describes, or was built otherwise */
async function requireWhole(path: string, record: string, connectivity: number): Promise<void> {
  const about = readJsonFile(record, graphRecord);
  if (about.connectivity !== connectivity)
    throw new FileError(record, `was built with connectivity ${about.connectivity}, not ${connectivity}; remove it`);
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes?.length !== about.sizeBytes || crc32(bytes) !== about.sum)
    throw new FileError(path, `is damaged; remove it and ${files.record}, and it is built again`);
}
