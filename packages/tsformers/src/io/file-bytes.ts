import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Gunzip } from "fflate";
import { FileError, fileError } from "./file-error.ts";

/** The bytes of a file from its beginning on. */
export type FileBytes = {
  /** Fills the beginning of an array, and returns how many bytes there were; 0 at the end of the file. */
  read(target: Uint8Array): number;
  close(): void;
};

/**
 * Opens a file to be read once. Of a gzip file, which is known by its first bytes, the contents are read: piece by piece, so that memory
 * stays the same at any size.
 *
 * @throws FileError when it cannot be read, and, from `read`, when a gzip file is damaged or cut off
 */
export function openBytes(path: string): FileBytes {
  const file = inWords(path, () => openSync(path, "r"));
  const readFile = (target: Uint8Array, position: number | null): number =>
    inWords(path, () => readSync(file, target, 0, target.length, position));
  const close = () => closeSync(file);
  try {
    const start = new Uint8Array(gzipStart.length);
    readFile(start, 0);
    const isGzip = gzipStart.every((byte, i) => start[i] === byte);
    const read = isGzip
      ? unpacked(
          path,
          inWords(path, () => fstatSync(file).size),
          readFile,
        )
      : (target: Uint8Array) => readFile(target, null);
    return { read, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Of gzip, with the only method that there is. */
const gzipStart = [0x1f, 0x8b, 8];
/** Compressed bytes that are unpacked at a time, to at most some thousand times as many. */
const packedBytes = 2 ** 14;

function unpacked(
  path: string,
  sizeBytes: number,
  readFile: (target: Uint8Array, position: number) => number,
): FileBytes["read"] {
  let [check, length] = [0, 0];
  const ready: Uint8Array[] = [];
  const unpack = new Gunzip((bytes) => {
    check = crc32(bytes, check);
    length += bytes.length;
    if (bytes.length > 0) ready.push(bytes);
  });
  // A file may be several that were joined.
  unpack.onmember = () => {
    [check, length] = [0, 0];
  };
  let position = 0;
  const more = (): void => {
    const bytes = new Uint8Array(packedBytes);
    const count = readFile(bytes, position);
    position += count;
    try {
      unpack.push(bytes.subarray(0, count), position >= sizeBytes || count === 0);
    } catch (error) {
      throw new FileError(path, `a damaged gzip file: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (position < sizeBytes && count > 0) return;
    const end = new DataView(new ArrayBuffer(8));
    readFile(new Uint8Array(end.buffer), Math.max(sizeBytes - 8, 0));
    const fits = end.getUint32(0, true) === check && end.getUint32(4, true) === length % 2 ** 32;
    if (!fits) throw new FileError(path, "a damaged gzip file: its check sum does not fit");
  };
  return (target) => {
    while (ready.length === 0 && position < sizeBytes) more();
    const first = ready[0];
    if (first === undefined) return 0;
    const count = Math.min(first.length, target.length);
    target.set(first.subarray(0, count));
    if (count === first.length) ready.shift();
    else ready[0] = first.subarray(count);
    return count;
  };
}

function inWords<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw fileError(path, error);
  }
}
