import { existsSync } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { syncDirectory } from "../io/atomic-file.ts";
import { FileError, fileError } from "../io/file-error.ts";
import { makeFolder } from "../io/make-folder.ts";
import { lockFile } from "../run/lock.ts";
import { bytesOf, type DatastoreRecord, datastoreFiles, pageEntriesOf } from "./datastore-record.ts";

/** A datastore that is being written. */
export type DatastoreWriter = {
  /** Writes entries that follow one another: keys [n, C] and the n tokens that followed them. */
  write(entry: number, keys: Float32Array, values: Int32Array): Promise<void>;
  /** Puts the folder in its place; every entry must have been written. */
  finish(): Promise<void>;
  /** Removes what was written. */
  abandon(): Promise<void>;
};

/**
 * Begins a datastore. Until it is finished it has a name of its own beside `directory`, so that a folder is there whole or not at all; what a
 * killed program left there is removed by the next one.
 *
 * @param about what its record says; default of `pageEntries`: pages of 8 MiB
 * @throws FileError when there is something at `directory` already; Error when another process writes it
 */
export async function writeDatastore(
  directory: string,
  about: Omit<DatastoreRecord, "format" | "pageEntries" | "sums"> & Partial<Pick<DatastoreRecord, "pageEntries">>,
): Promise<DatastoreWriter> {
  const { entries, width, pageEntries = pageEntriesOf(about.width) } = about;
  if (existsSync(directory)) throw new FileError(directory, "is there already; name a new folder, or remove it");
  const parent = dirname(resolve(directory));
  makeFolder(parent);
  const partial = join(parent, `.${basename(resolve(directory))}.partial`);
  const unlock = await lockFile(`${partial}.lock`);
  const files: FileHandle[] = [];
  const close = async () => {
    for (const file of files.splice(0)) await file.close();
  };
  const abandon = async () => {
    await close();
    await rm(partial, { recursive: true, force: true });
    unlock();
  };
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    for (const name of [datastoreFiles.keys, datastoreFiles.values]) files.push(await open(join(partial, name), "wx+"));
  } catch (error) {
    await abandon();
    throw fileError(directory, error);
  }
  const [keyFile, valueFile] = files as [FileHandle, FileHandle];
  let written = 0;
  return {
    write: async (entry, keys, values) => {
      try {
        await writeAll(keyFile, bytesOf(keys), entry * width * 4);
        await writeAll(valueFile, bytesOf(values), entry * 4);
      } catch (error) {
        throw fileError(directory, error);
      }
      written += values.length;
    },
    finish: async () => {
      if (written !== entries) throw new Error(`${directory}: ${written} of ${entries} entries were written`);
      const sums = {
        keys: await sumsOf(keyFile, entries * width * 4, pageEntries * width * 4),
        values: (await sumsOf(valueFile, entries * 4, entries * 4))[0]!,
      };
      const record: DatastoreRecord = { format: "tsformers datastore 1", ...about, pageEntries, sums };
      for (const file of files) await file.sync();
      await close();
      await writeFile(join(partial, datastoreFiles.record), `${JSON.stringify(record, null, 2)}\n`, { flush: true });
      await syncDirectory(partial);
      await rename(partial, directory);
      await syncDirectory(parent);
      unlock();
    },
    abandon,
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

/** CRC-32 of each stretch of a file. */
async function sumsOf(file: FileHandle, sizeBytes: number, stretchBytes: number): Promise<number[]> {
  const sums: number[] = [];
  const buffer = new Uint8Array(Math.min(stretchBytes, 2 ** 23));
  for (let from = 0; from < sizeBytes; from += stretchBytes) {
    const end = Math.min(from + stretchBytes, sizeBytes);
    let sum = 0;
    for (let at = from; at < end; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) throw new Error(`a file ended at byte ${at} of ${end} while it was read back`);
      sum = crc32(buffer.subarray(0, bytesRead), sum);
      at += bytesRead;
    }
    sums.push(sum);
  }
  return sums;
}
