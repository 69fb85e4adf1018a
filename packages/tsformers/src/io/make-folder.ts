import { mkdirSync, rmdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FileError, fileError } from "./file-error.ts";

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
    if (code === "EEXIST") return false;
    if (code === "ENOENT" && dirname(path) !== path) return undefined;
    throw fileError(path, error);
  }
}
