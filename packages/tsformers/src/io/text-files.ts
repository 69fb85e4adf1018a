import { type Dirent, readdirSync, type Stats, statSync } from "node:fs";
import { extname, join } from "node:path";
import { FileError, fileError } from "./file-error.ts";

/** A file, and its size when it was found. */
export type FoundFile = { readonly path: string; readonly sizeBytes: number };

/** Reports something on a line of its own. */
export type Note = (line: string) => void;

type Kind = "file" | "folder" | "pipe" | "socket" | "device" | "circle of links" | "nothing";

type Search = { readonly extensions: readonly string[]; readonly note: Note };

/**
 * The file at a path, or the files of a folder and of the folders in it, in the order of their paths.
 *
 * Of a folder those files count whose names end in one of `extensions`, also with `.gz` behind it, with `["*"]` all; names that begin
 * with a dot are skipped.
 * For a pipe, a broken link or another thing that cannot be read to its end, a note says that it is skipped;
 * links to folders are skipped as well, since they may form a circle.
 *
 * @throws FileError when the path is missing or neither file nor folder, when the folder has no such file, and when
 *   a folder cannot be read
 */
export function findFiles(path: string, search: Search): FoundFile[] {
  const { kind, sizeBytes } = lookAt(path);
  if (kind === "file") return [{ path, sizeBytes }];
  if (kind === "nothing") throw new FileError(path, "no such file or folder");
  if (kind !== "folder") {
    throw new FileError(path, `is a ${kind}, expected a file or a folder; write the text to a file first`);
  }
  const files = filesIn(path, search);
  if (files.length > 0) return files;
  const names = search.extensions.includes("*") ? "" : ` ending in ${search.extensions.join(", ")}`;
  throw new FileError(path, `no files${names} in this folder or below it`);
}

function filesIn(folder: string, search: Search): FoundFile[] {
  const { extensions, note } = search;
  const entries = entriesOf(folder).filter(({ name }) => !name.startsWith("."));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path, search);
    const isWanted = extensions.includes("*") || extensions.includes(extensionOf(entry.name));
    const isLink = entry.isSymbolicLink();
    if (!isWanted && !isLink) return [];
    const { kind, sizeBytes } = lookAt(path);
    if (isWanted && kind === "file") return [{ path, sizeBytes }];
    if (kind === "folder") note(`${path}: passed over; links to folders are not followed`);
    else if (isWanted)
      note(`${path}: passed over; ${isLink ? "a link to " : ""}${kind === "nothing" ? kind : `a ${kind}`}`);
    return [];
  });
}

/** The extension of a file, or of what a gzip file holds. */
function extensionOf(name: string): string {
  return extname(name.toLowerCase().replace(/\.gz$/, ""));
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw fileError(folder, error);
  }
}

/** What is at a path, links followed. */
function lookAt(path: string): { kind: Kind; sizeBytes: number } {
  try {
    const found = statSync(path);
    return { kind: kindOf(found), sizeBytes: found.size };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "nothing", sizeBytes: 0 };
    if (code === "ELOOP") return { kind: "circle of links", sizeBytes: 0 };
    throw fileError(path, error);
  }
}

function kindOf(found: Stats): Kind {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "folder";
  if (found.isFIFO()) return "pipe";
  return found.isSocket() ? "socket" : "device";
}
