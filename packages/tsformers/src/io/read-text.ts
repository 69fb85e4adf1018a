import { constants } from "node:buffer";
import { openBytes } from "./file-bytes.ts";
import { FileError } from "./file-error.ts";
import { NotText, type TextPiece, textDecoding } from "./text-decoding.ts";
import { type FoundFile, findFiles, type Note } from "./text-files.ts";

/** Bytes of a file read at a time. */
export const defaultPieceBytes: number = 2 ** 22;

/** The longest text that is read as a whole: the length limit of a string, since a character takes at least a byte. */
const mostBytes = constants.MAX_STRING_LENGTH;

/**
 * Decodes text: UTF-8, or UTF-16 of either byte order with a byte order mark, which is dropped.
 *
 * @param source where the bytes come from, such as a path: messages begin with it
 * @throws NotText naming the first invalid byte: invalid UTF-8 or UTF-16, zero bytes, and UTF-16 without a byte
 *   order mark; FileError when the text is longer than a string may be
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  requireOneString(source, bytes.length);
  return textDecoding(source)(bytes, true).piece.text;
}

/**
 * The text of a file, or of all files of a folder and the folders in it, in the order of their paths, joined by line feeds.
 *
 * For texts that fit in memory; the task `text` reads files of any size.
 *
 * @param options as for `openText`
 * @throws FileError when the path is missing, holds no text or more than fits a string, or a file is not text
 */
export function readText(path: string, options: { extensions?: readonly string[]; note?: Note } = {}): string {
  const { sizeBytes, pieces } = openText(path, options);
  requireOneString(path, sizeBytes);
  const texts: string[] = [];
  let length = 0;
  for (const { text } of pieces()) {
    texts.push(text);
    length += text.length;
    // More than the files have, if they are compressed.
    requireOneString(path, length);
  }
  const text = texts.join("");
  requireCharacters(path, text.trim() !== "", text.length);
  return text;
}

/** A piece of a text, and the number of the file that it comes from; a line feed between two files belongs to the first. */
export type FilePiece = TextPiece & { readonly file: number };

/** A text of any size that can be read from its beginning as often as needed. */
export type TextSource = {
  /** The size of its files. */
  readonly sizeBytes: number;
  /** The files that it is in, in their order. */
  readonly paths: readonly string[];
  /** The text of some of these files, by their numbers, in another order; those `apart` are not joined to the one before. */
  ordered(files: readonly number[], apart: readonly number[]): TextSource;
  /** The text in pieces of whole characters. @throws NotText at a piece that is not text; FileError when a file cannot be read */
  pieces(): Generator<FilePiece>;
};

/**
 * Finds the text of a file, or of all files of a folder and the folders in it, in the order of their paths, joined by line
 * feeds. Only one piece at a time is kept in memory.
 *
 * Of a folder, files count whose names end in one of `extensions`, also with `.gz` behind it; names that begin with a dot are
 * skipped. What gzip has compressed is unpacked as it is read. With `extensions: ["*"]` every file counts that is text.
 *
 * @param options.extensions Default: `[".txt", ".md"]`. A file named by `path` itself may have any.
 * @param options.note called for pipes, broken links and the like that are skipped in a folder. Default: a line on stderr.
 * @param options.pieceBytes bytes read at a time, at least 8. Default: 4 MiB.
 * @throws FileError when the path is missing or neither a file nor a folder, or the folder has no such files
 */
export function openText(
  path: string,
  options: { extensions?: readonly string[]; note?: Note; pieceBytes?: number } = {},
): TextSource {
  const { extensions = [".txt", ".md"], note = noteOnStderr, pieceBytes = defaultPieceBytes } = options;
  const found = findFiles(path, { extensions, note });
  const chooses = extensions.includes("*") && found[0]?.path !== path;
  return joinedText(chooses ? textsAmong(found, Buffer.allocUnsafe(pieceBytes)) : found, { pieceBytes });
}

/**
 * The text of some files, in their order, joined by line feeds.
 *
 * @param options.apart files, by their numbers, that are not joined to the one before. Default: none
 */
function joinedText(
  files: readonly FoundFile[],
  { pieceBytes, apart = [] }: { readonly pieceBytes: number; readonly apart?: readonly number[] },
): TextSource {
  return {
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    paths: files.map(({ path }) => path),
    ordered: (numbers, apart) =>
      joinedText(
        numbers.map((number) => files[number]!),
        { pieceBytes, apart },
      ),
    *pieces() {
      const buffer = Buffer.allocUnsafe(pieceBytes);
      for (const [file, { path }] of files.entries()) {
        if (file > 0 && !apart.includes(file)) yield { ...lineFeed, file: file - 1 };
        for (const piece of filePieces(path, buffer)) yield { ...piece, file };
      }
    },
  };
}

/** @throws FileError when a text is blank */
export function requireCharacters(path: string, hasAny: boolean, length: number): void {
  if (!hasAny) throw new FileError(path, `expected text, got nothing but ${length} blank characters`);
}

export function noteOnStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

const lineFeed: TextPiece = { text: "\n", utf8: Uint8Array.of(10) };

/** Reads a file piece by piece through `buffer`. */
function* filePieces(path: string, buffer: Buffer): Generator<TextPiece> {
  const decode = textDecoding(path);
  const file = openBytes(path);
  try {
    for (let held = 0, last = false; !last; ) {
      const count = file.read(buffer.subarray(held));
      last = count === 0;
      const bytes = buffer.subarray(0, held + count);
      const { piece, used } = decode(bytes, last);
      if (piece.text !== "") yield piece;
      buffer.copyWithin(0, used, bytes.length);
      held = bytes.length - used;
    }
  } finally {
    file.close();
  }
}

function textsAmong(files: readonly FoundFile[], buffer: Buffer): FoundFile[] {
  return files.filter(({ path }) => {
    try {
      for (const _ of filePieces(path, buffer));
      return true;
    } catch (error) {
      if (error instanceof NotText) return false;
      throw error;
    }
  });
}

function requireOneString(source: string, sizeBytes: number): void {
  if (sizeBytes <= mostBytes) return;
  throw new FileError(source, `has ${sizeBytes} bytes; a text that is read as a whole can have at most ${mostBytes}`);
}
