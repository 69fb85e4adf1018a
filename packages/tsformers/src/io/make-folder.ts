import { mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FileError, fileError } from "./file-error.ts";

/** What is wrong with a path that should be a folder. */
export const notFolder = "expected a folder, this is a file";

/**
 * Makes a folder and those above it. (Node's own `recursive` does not return where the system refuses a name although the folder above exists, as
 * in /proc.)
 *
 * @returns the folders that it made, outermost first
 * @throws FileError saying why it cannot be made
 */
export function makeFolder(path: string): string[] {
  const whole = resolve(path);
  const made = makeOne(whole);
  if (made !== undefined) return made ? [whole] : [];
  const above = makeFolder(dirname(whole));
  if (makeOne(whole) === undefined) throw new FileError(path, "the system refuses to make this folder");
  return [...above, whole];
}

/** Removes folders that were made, as far as nothing is in them. */
export function removeEmptyFolders(made: readonly string[]): void {
  for (const folder of made.toReversed()) {
    try {
      rmdirSync(folder);
    } catch {
      return;
    }
  }
}

/** @returns whether it was made; undefined where there is no folder above */
function makeOne(path: string): boolean | undefined {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      if (statSync(path, { throwIfNoEntry: false })?.isFile()) throw new FileError(path, notFolder);
      return false;
    }
    // With ENOTDIR a folder above is a file, which is found there.
    if ((code === "ENOENT" || code === "ENOTDIR") && dirname(path) !== path) return undefined;
    throw fileError(path, error);
  }
}
