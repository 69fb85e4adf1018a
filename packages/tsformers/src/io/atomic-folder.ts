import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type FileContents, syncDirectory, temporaryPath, writeFileSynced } from "./atomic-file.ts";
import { makeFolder } from "./make-folder.ts";

/**
 * Writes a folder of files that appears whole or not at all: under a temporary name beside `path`, synced, then renamed.
 *
 * A folder that is already at `path` is moved aside for that moment and then removed, with everything in it.
 *
 * @throws the file system's error, after removing what was written; a folder that was at `path` is then there again
 */
export async function writeFolderAtomic(path: string, files: ReadonlyMap<string, FileContents>): Promise<void> {
  const parent = dirname(path);
  makeFolder(parent);
  const [fresh, old] = [temporaryPath(path), temporaryPath(path)];
  try {
    await mkdir(fresh);
    for (const [name, contents] of files) await writeFileSynced(join(fresh, name), contents);
    await syncDirectory(fresh);
    const moved = await renameIfThere(path, old);
    try {
      await rename(fresh, path);
    } catch (error) {
      if (moved) await rename(old, path);
      throw error;
    }
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
  await syncDirectory(parent);
  await rm(old, { recursive: true, force: true });
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
