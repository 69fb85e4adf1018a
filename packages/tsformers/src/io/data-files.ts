import { closeSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { relative, sep } from "node:path";
import { gunzipSync } from "node:zlib";
import { unzipSync } from "fflate";
import { FileError, fileError } from "./file-error.ts";
import { readTar } from "./tar.ts";
import { findFiles, type Note } from "./text-files.ts";

/** A file of a folder or an archive. */
export type DataFile = {
  /** Its path inside of the folder or archive, with slashes. */
  readonly name: string;
  /** Where it lies, for messages: `archive.zip/name` in an archive. */
  readonly path: string;
  /** @throws FileError when it cannot be read */
  read(): Uint8Array;
};

/** The most that a compressed file or archive may hold: what fits an array. */
const mostBytes = 2 ** 31 - 1;

/** Deflate makes nothing smaller than by this factor. */
const mostDeflated = 1032;

/**
 * The files of a folder, a `.zip` or `.npz`, a `.tar` or a `.tar.gz`, in the order of their names. Names that begin with a dot are skipped, and so are those in
 * folders whose names do. A path of another file gives that file alone.
 *
 * @throws FileError when the path is missing or holds no file, and when an archive is damaged
 */
export function dataFiles(path: string, { note }: { readonly note: Note }): DataFile[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new FileError(path, "no such file or folder");
  const isFolder = found.isDirectory();
  const files = isFolder ? folderFiles(path, note) : archiveFiles(path);
  const shown = files.filter(
    ({ name }) => !name.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"),
  );
  if (shown.length === 0) throw new FileError(path, "holds no files");
  return shown.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The whole of a file; of one whose name ends in `.gz`, what is compressed in it. */
export function readDataFile(path: string): Uint8Array {
  try {
    return unpacked(path, readFileSync(path));
  } catch (error) {
    throw error instanceof FileError ? error : fileError(path, error);
  }
}

function folderFiles(path: string, note: Note): DataFile[] {
  return findFiles(path, { extensions: ["*"], note }).map((file) => ({
    name: relative(path, file.path).split(sep).join("/"),
    path: file.path,
    read: () => readDataFile(file.path),
  }));
}

function archiveFiles(path: string): DataFile[] {
  requireFile(path);
  if (/\.(zip|npz)$/i.test(path)) return zipFiles(path);
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) {
    const bytes = readDataFile(path);
    return readTar(path, bytes).map(({ name, start, end }) => ({
      name,
      path: `${path}/${name}`,
      read: () => unpacked(`${path}/${name}`, bytes.subarray(start, end)),
    }));
  }
  return [{ name: path.split(/[/\\]/).at(-1)!, path, read: () => readDataFile(path) }];
}

function zipFiles(path: string): DataFile[] {
  const packed = readDataFile(path);
  let total = 0;
  try {
    const files = unzipSync(packed, {
      filter: ({ name, size, originalSize }) => {
        total += originalSize;
        if (originalSize > size * mostDeflated + 64 || total > mostBytes)
          throw new FileError(path, `is damaged or too large: ${name} should have ${originalSize} bytes`);
        return !name.endsWith("/");
      },
    });
    return Object.entries(files).map(([name, bytes]) => ({
      name,
      path: `${path}/${name}`,
      read: () => unpacked(`${path}/${name}`, bytes),
    }));
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(path, `the zip archive is damaged (${(error as Error).message})`);
  }
}

function unpacked(path: string, bytes: Uint8Array): Uint8Array {
  if (!/\.(gz|tgz)$/i.test(path)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: mostBytes });
  } catch (error) {
    throw new FileError(path, `the gzip file is damaged (${(error as Error).message})`);
  }
}

/** @throws FileError for what is no file */
function requireFile(path: string): void {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    if (!fstatSync(file).isFile()) throw new FileError(path, "is neither a file nor a folder");
  } catch (error) {
    throw error instanceof FileError ? error : fileError(path, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
