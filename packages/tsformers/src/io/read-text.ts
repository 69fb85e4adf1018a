import { type Dirent, readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";

/**
 * The text of a file, or of all files of a folder and the folders in it, in the order of their paths, joined by line feeds.
 *
 * Folders contribute the files whose names end in one of `extensions`; names that begin with a dot are passed over.
 * With `extensions: ["*"]` they contribute every file that is text.
 *
 * @param options.extensions default `[".txt", ".md"]`; a file named by `path` itself may have any
 * @throws Error when the path is missing, holds no text, or a file is not UTF-8 text
 */
export function readText(path: string, options: { extensions?: readonly string[] } = {}): string {
  const { extensions = [".txt", ".md"] } = options;
  const text = isFolder(path) ? readFolder(path, extensions) : decodeText(readFileSync(path), path);
  if (text.trim() === "") throw new Error(`${path}: expected text, got nothing but ${text.length} blank characters`);
  return text;
}

function readFolder(folder: string, extensions: readonly string[]): string {
  const all = extensions.includes("*");
  const paths = filesIn(folder).filter((path) => all || extensions.includes(extname(path).toLowerCase()));
  if (paths.length === 0) {
    throw new Error(`${folder}: no files ending in ${extensions.join(", ")} in this folder or below it`);
  }
  const texts = paths.map((path) => {
    const bytes = readFileSync(path);
    return all && !isText(bytes) ? undefined : decodeText(bytes, path);
  });
  return texts.filter((text) => text !== undefined).join("\n");
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path);
    return isFile(entry, path) ? [path] : [];
  });
}

/** Links to folders are not followed: they may lead in a circle. */
function isFile(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isFile();
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isFolder(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new Error(`${path}: no such file or folder`);
  return found.isDirectory();
}

function isText(bytes: Uint8Array): boolean {
  try {
    decodeText(bytes, "");
    return true;
  } catch {
    return false;
  }
}

/**
 * The text that a file's bytes hold: UTF-8, or UTF-16 with a byte order mark. The mark is dropped.
 *
 * @param source names the bytes in errors
 * @throws Error when they are not text
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const wide =
    bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff && "utf-16be";
  if (wide) return decodeWith(wide, bytes, source);
  const zero = bytes.indexOf(0);
  if (zero >= 0)
    throw new Error(`${source}: expected text, found a zero byte at ${zero}; this looks like a binary file`);
  return decodeWith("utf-8", bytes, source);
}

function decodeWith(encoding: string, bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    const name = encoding.toUpperCase();
    throw new Error(`${source}: expected ${name} text, found bytes that are not; convert the file to UTF-8 first`);
  }
}
