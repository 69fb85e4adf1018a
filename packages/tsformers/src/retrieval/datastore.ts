import { existsSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { FileError, fileError } from "../io/file-error.ts";
import { readJsonFile } from "../io/read-json.ts";
import { bytesOf, type DatastoreRecord, datastoreFiles, datastoreRecord } from "./datastore-record.ts";

/** An open datastore. Its values are in memory, 4 bytes an entry; keys stay on the disk. */
export type Datastore = {
  readonly directory: string;
  readonly record: DatastoreRecord;
  /** The token that followed each key. */
  readonly values: Int32Array;
  readonly pages: number;
  /** The entries of a page. */
  pageAt(page: number): { readonly first: number; readonly count: number };
  /**
   * Reads the keys of a page, [n, C], into the beginning of `into`; checks them the first time.
   *
   * @throws FileError when they are damaged
   */
  readPage(page: number, into: Float32Array): Promise<void>;
  /** Reads one key, [C]. */
  readKey(entry: number, into: Float32Array): void;
  close(): Promise<void>;
};

/**
 * Opens a folder that `buildDatastore` made. What its files should measure is compared with what they do before anything is read.
 *
 * @throws FileError when there is no datastore, or it is half written, damaged, or of a later version
 */
export async function openDatastore(directory: string): Promise<Datastore> {
  const path = (name: keyof typeof datastoreFiles) => join(directory, datastoreFiles[name]);
  if (!existsSync(directory))
    throw new FileError(directory, "no such folder; `tsformers store build` makes a datastore");
  if (!existsSync(path("record")))
    throw new FileError(directory, `has no ${datastoreFiles.record}, so it is no datastore, or half of one; build it`);
  const record = readJsonFile(path("record"), datastoreRecord);
  const { entries, width, pageEntries, sums, vocabularySize } = record;
  const files: FileHandle[] = [];
  const close = async () => {
    for (const file of files.splice(0)) await file.close();
  };
  try {
    const keys = await openWhole(path("keys"), entries * width * 4);
    files.push(keys);
    const valueFile = await openWhole(path("values"), entries * 4);
    files.push(valueFile);
    const values = new Int32Array(entries);
    await readAll(path("values"), valueFile, bytesOf(values), 0);
    if (crc32(bytesOf(values)) !== sums.values) throw damaged(path("values"));
    if (values.some((token) => token < 0 || token >= vocabularySize)) throw damaged(path("values"));
    const pages = sums.keys.length;
    const checked = new Set<number>();
    const pageAt = (page: number) => {
      const first = page * pageEntries;
      return { first, count: Math.min(pageEntries, entries - first) };
    };
    return {
      directory,
      record,
      values,
      pages,
      pageAt,
      readPage: async (page, into) => {
        const { first, count } = pageAt(page);
        const bytes = bytesOf(into).subarray(0, count * width * 4);
        await readAll(path("keys"), keys, bytes, first * width * 4);
        if (checked.has(page)) return;
        if (crc32(bytes) !== sums.keys[page])
          throw damaged(path("keys"), ` in its entries ${first} … ${first + count - 1}`);
        checked.add(page);
      },
      readKey: (entry, into) => void readSync(keys.fd, bytesOf(into), 0, width * 4, entry * width * 4),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function damaged(path: string, where = ""): FileError {
  return new FileError(
    path,
    `is damaged${where}: its bytes are not those that were written; build the datastore again`,
  );
}

async function openWhole(path: string, sizeBytes: number): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw fileError(path, error);
  }
  const { size } = await file.stat();
  if (size === sizeBytes) return file;
  await file.close();
  throw new FileError(path, `expected ${sizeBytes} bytes, found ${size}; build the datastore again`);
}

/** Node reads at most 2 GiB − 1 at a time. */
const largestRead = 2 ** 30;

async function readAll(path: string, file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, Math.min(into.length - at, largestRead), position + at);
    if (bytesRead === 0) throw new FileError(path, `ended at byte ${position + at} while it was read`);
    at += bytesRead;
  }
}
