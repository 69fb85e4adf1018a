import { crc32 } from "node:zlib";
import { encodeSafetensors, NDArray } from "@tsformers/engine";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { FileError } from "../io/file-error.ts";
import { openSafetensorsFile, readTensors } from "../io/safetensors-file.ts";
import type { EvalSplit } from "../tasks/task.ts";
import type { NeighbourTable } from "../tasks/text/with-neighbours.ts";
import type { Datastore } from "./datastore.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { requireOwnStore } from "./score.ts";
import type { NeighbourSearch } from "./search.ts";
import { type ReadOptions, readText } from "./text-reader.ts";

const splitNames: readonly ("train" | EvalSplit)[] = ["train", "valid", "test"];
const format = "tsformers neighbours 1";

export type NeighbourOptions = Omit<ReadOptions, "predicts" | "split" | "limit" | "onProgress"> & {
  readonly store: Datastore;
  readonly search: NeighbourSearch;
  /** k. Default: 4, as published. */
  readonly count?: number;
  /** Positions that are searched at a time: each time the whole datastore is read. Default: 4,096. */
  readonly queriesPerSearch?: number;
  readonly onProgress?: (split: string, batch: number, batches: number) => void;
};

/**
 * Which tokens followed the contexts in a datastore that are nearest to each one of a text, for all its splits. Where the datastore holds the context
 * itself, that entry is left out: it would give the answer away.
 *
 * @throws Error when the datastore is that of another model
 * @source Yogatama et al. 2021, §3.2, arXiv:2102.02557: neighbours are found once, by a model that is not trained any more
 */
export async function findNeighbours(options: NeighbourOptions): Promise<NeighbourTable> {
  const { store, search, count = 4, queriesPerSearch = 4096, onProgress, ...reading } = options;
  const { text, params } = reading;
  requireOwnStore(store, fingerprintOf(params));
  const { width } = store.record;
  const tables = splitNames.map((split): [string, Int32Array] => [
    split,
    new Int32Array(text.splits[split].length * count),
  ]);
  for (const [split, table] of tables as ["train" | EvalSplit, Int32Array][]) {
    const isOwn =
      store.record.text === `${text.fingerprint} ${split}` ||
      store.record.text.startsWith(`${text.fingerprint} ${split} `);
    const progress = onProgress && ((batch: number, batches: number) => onProgress(split, batch, batches));
    const waiting: { places: number[]; entries: number[]; keys: Float32Array } = {
      places: [],
      entries: [],
      keys: new Float32Array(queriesPerSearch * width),
    };
    const flush = async () => {
      const { places, entries } = waiting;
      if (places.length === 0) return;
      const wanted = count + (isOwn ? 1 : 0);
      const found = await search.search(waiting.keys.subarray(0, places.length * width), wanted);
      places.forEach((place, i) => {
        let at = place * count;
        for (let j = i * wanted; j < (i + 1) * wanted && at < (place + 1) * count; j++)
          if (!isOwn || found.entries[j] !== entries[i]) table[at++] = found.values[j]!;
      });
      [waiting.places, waiting.entries] = [[], []];
    };
    const read = readText({ ...reading, split, ...(progress && { onProgress: progress }) });
    for await (const { entry, place, keys, targets } of read)
      for (let i = 0; i < targets.length; i++) {
        waiting.keys.set(keys.subarray(i * width, (i + 1) * width), waiting.places.length * width);
        waiting.places.push(place + i);
        waiting.entries.push(entry + i);
        if (waiting.places.length === queriesPerSearch) await flush();
      }
    await flush();
  }
  const splits = Object.fromEntries(tables) as NeighbourTable["splits"];
  return { count, text: text.fingerprint, sum: sumOf(splits), splits };
}

/** @throws FileError when it cannot be written */
export async function writeNeighbourTable(path: string, { count, text, splits }: NeighbourTable): Promise<void> {
  const arrays = Object.entries(splits).map(([split, table]): [string, NDArray] => [
    split,
    new NDArray([table.length / count, count], "int32", table),
  ]);
  await writeFileAtomic(path, encodeSafetensors(new Map(arrays), { format, text }));
}

/** @throws FileError when it is missing, damaged, or something else */
export async function readNeighbourTable(path: string): Promise<NeighbourTable> {
  const file = await openSafetensorsFile(path);
  try {
    const { metadata } = file;
    if (metadata.format !== format || metadata.text === undefined)
      throw new FileError(path, "expected a file of `tsformers store neighbours`, found other arrays");
    const tensors = await readTensors(file);
    const of = (split: string): NDArray => {
      const array = tensors.get(split);
      if (array?.dtype !== "int32" || array.shape.length !== 2) throw new FileError(path, `has no table of ${split}`);
      return array;
    };
    const [train, valid, test] = splitNames.map(of) as [NDArray, NDArray, NDArray];
    const count = train.shape[1]!;
    if (valid.shape[1] !== count || test.shape[1] !== count) throw new FileError(path, "its tables differ in width");
    const splits = {
      train: train.data as Int32Array,
      valid: valid.data as Int32Array,
      test: test.data as Int32Array,
    };
    return { count, text: metadata.text, sum: sumOf(splits), splits };
  } finally {
    await file.close();
  }
}

function sumOf({ train, valid, test }: NeighbourTable["splits"]): string {
  const sum = [train, valid, test].reduce(
    (sum, { buffer, byteOffset, byteLength }) => crc32(new Uint8Array(buffer, byteOffset, byteLength), sum),
    0,
  );
  return sum.toString(16);
}
