import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FileError, fileError } from "./file-error.ts";

/** Contents of a file. A list of pieces is written one after the other, so that a large file need not be in memory twice. */
export type FileContents = Uint8Array | string | readonly Uint8Array[];

/**
 * Replaces a file in one step: after a crash at any moment, even of the machine, `path` holds the old bytes or the new ones.
 *
 * The bytes go to a temporary name in the same directory and are synced, then renamed over `path`, then the directory is synced.
 *
 * @throws FileError after removing the temporary file; `path` is then untouched
 */
export async function writeFileAtomic(path: string, data: FileContents): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await writeFileSynced(temporary, data);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    const isFolderMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isFolderMissing) throw new FileError(path, "its folder does not exist");
    // The system has several errors for this, such as `EBUSY` for the working directory.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw new FileError(path, "is a folder, expected a file");
    throw fileError(path, error);
  }
  await syncDirectory(dirname(path));
}

/** A fresh name beside `path` that begins with a dot and ends in `.tmp`. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/** Creates a file that must not exist yet and returns once its bytes are on the disk. */
export async function writeFileSynced(path: string, data: FileContents): Promise<void> {
  const file = await open(path, "wx");
  try {
    const pieces = typeof data === "string" || data instanceof Uint8Array ? [data] : data;
    for (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes creations, renames and removals in a directory durable. Windows cannot open directories and needs no such step. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
