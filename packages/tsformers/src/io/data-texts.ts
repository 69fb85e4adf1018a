import { readFileSync } from "node:fs";
import { basename, relative, sep } from "node:path";
import { gunzipSync } from "node:zlib";
import { unzipSync } from "fflate";
import { FileError, fileError } from "./file-error.ts";
import { decodeText, noteOnStderr } from "./read-text.ts";
import { type ArchiveEntry, isTar, tarEntries } from "./tar.ts";
import { findFiles } from "./text-files.ts";

/** A text of a data set. */
export type DataText = {
  /** Its path inside the folder or archive, with slashes and without `.gz`. */
  readonly name: string;
  /** Where it lies, for messages. */
  readonly path: string;
  readonly text: string;
};

/** The most bytes of a data set that are kept in memory, packed or unpacked. */
const mostBytes = 2 ** 30;

/** Deflate writes at most 1,032 bytes for one: an entry that says more lies. */
const mostRatio = 1032;

/**
 * The texts of a data set that fits in memory, in the order of their names: a folder, an archive of one (zip, tar, tar.gz), or a single file. Each file
 * may be packed with gzip.
 *
 * @param wanted which files of a folder or archive are read. A single file is read whatever its name.
 * @throws FileError when the path is missing, an archive is damaged or too large, or a file is not text
 */
export function readDataTexts(path: string, wanted: (name: string) => boolean): DataText[] {
  const found = findFiles(path, { extensions: ["*"], note: noteOnStderr });
  const isFolder = found[0]?.path !== path;
  const texts = isFolder
    ? found.flatMap((file) => {
        const name = relative(path, file.path).split(sep).join("/");
        return wanted(withoutGz(name)) ? [textOf({ name, bytes: read(file) }, file.path)] : [];
      })
    : entriesOf(basename(path), read(found[0]!), path, wanted);
  return texts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The texts of one file, which may be an archive. */
function entriesOf(name: string, packed: Uint8Array, path: string, wanted: (name: string) => boolean): DataText[] {
  const bytes = unpacked(packed, path);
  const entries = isZip(bytes) ? zipEntries(bytes, path, wanted) : isTar(bytes) ? tarEntries(bytes, path) : undefined;
  if (entries === undefined) return [textOf({ name, bytes }, path)];
  return entries
    .filter((entry) => wanted(withoutGz(entry.name)))
    .map((entry) => textOf(entry, `${path}/${entry.name}`));
}

function read({ path, sizeBytes }: { readonly path: string; readonly sizeBytes: number }): Uint8Array {
  if (sizeBytes > mostBytes) throw tooLarge(path, sizeBytes);
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function textOf({ name, bytes }: ArchiveEntry, path: string): DataText {
  return { name: withoutGz(name), path, text: decodeText(unpacked(bytes, path), path) };
}

function withoutGz(name: string): string {
  return name.replace(/\.gz$/i, "");
}

/** The bytes themselves where they are not packed with gzip. */
function unpacked(bytes: Uint8Array, path: string): Uint8Array {
  if (!(bytes[0] === 0x1f && bytes[1] === 0x8b)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: mostBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(path);
    throw new FileError(path, `the gzip file is damaged: ${(error as Error).message}`);
  }
}

function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

function zipEntries(bytes: Uint8Array, path: string, wanted: (name: string) => boolean): ArchiveEntry[] {
  let total = 0;
  const sizes = new Map<string, number>();
  try {
    const entries = unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        if (name.endsWith("/") || !wanted(withoutGz(name))) return false;
        total += originalSize;
        if (total > mostBytes) throw tooLarge(path, total);
        if (originalSize > mostRatio * size + blockSlack)
          throw new FileError(path, `the zip file is damaged at ${name}`);
        sizes.set(name, originalSize);
        return true;
      },
    });
    return Object.entries(entries).map(([name, bytes]) => {
      if (bytes.length !== sizes.get(name)) throw new FileError(path, `the zip file is damaged at ${name}`);
      return { name, bytes };
    });
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(path, `the zip file is damaged: ${(error as Error).message}`);
  }
}

/** For entries of a few bytes, whose packed form is as long. */
const blockSlack = 64;

function tooLarge(path: string, sizeBytes?: number): FileError {
  const has = sizeBytes === undefined ? "" : `, got ${sizeBytes}`;
  return new FileError(path, `expected at most ${mostBytes} bytes of data, which are kept in memory${has}`);
}
