import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { crc32c } from "../../io/crc32c.ts";
import { readDataFile } from "../../io/data-files.ts";
import { FileError, fileError } from "../../io/file-error.ts";
import { noteOnStderr } from "../../io/read-text.ts";
import { findFiles, type Note } from "../../io/text-files.ts";
import type { Splits } from "../splits.ts";
import type { Book, DocumentPair, PairSource } from "./retrieval.ts";

const tableNames = { train: /train.*\.tsv$/, valid: /(valid|eval|dev).*\.tsv$/, test: /test.*\.tsv$/ };
const bookNames = { train: /^train_.*\.txt(\.gz)?$/, valid: /^valid_.*\.txt(\.gz)?$/, test: /^test_.*\.txt(\.gz)?$/ };

/** The longest line of a table. */
const mostLineBytes = 2 ** 26;

/**
 * Finds pairs of documents in a folder: tables of pairs as in the retrieval task of Long Range Arena, one for each split; or books of
 * which each is in the split that its name begins with.
 *
 * Lines of a table have a label (0 or 1), two names and two texts, between tabs. Texts stay in the file and are read when they are needed: published
 * tables have several gigabytes.
 *
 * @throws FileError when a split is missing, a line is not of this form, or a split has fewer than two books
 */
export function readDocumentPairs(path: string, { note = noteOnStderr }: { readonly note?: Note } = {}): PairSource {
  const files = findFiles(path, { extensions: ["*"], note }).map((file) => file.path);
  const nameOf = (file: string): string => file.split(/[/\\]/).at(-1)!;
  const matching = (names: typeof tableNames): Splits<readonly string[]> => ({
    train: files.filter((file) => names.train.test(nameOf(file))),
    valid: files.filter((file) => names.valid.test(nameOf(file)) && !names.train.test(nameOf(file))),
    test: files.filter((file) => names.test.test(nameOf(file)) && !names.train.test(nameOf(file))),
  });
  const tables = files.some((file) => tableNames.train.test(nameOf(file)));
  const found = matching(tables ? tableNames : bookNames);
  for (const [split, own] of Object.entries(found)) {
    if (own.length >= (tables ? 1 : 2)) continue;
    throw new FileError(
      path,
      tables
        ? `has no table of pairs for ${split}, expected a file like ${split === "valid" ? "pairs.eval.tsv" : `pairs.${split}.tsv`}`
        : `expected tables of pairs like pairs.train.tsv, or two or more books named ${split}_*.txt, found ${own.length}`,
    );
  }
  return tables ? tableSource(found) : bookSource(found, nameOf);
}

function bookSource(found: Splits<readonly string[]>, nameOf: (file: string) => string): PairSource {
  const encoder = new TextEncoder();
  let sum = 0;
  const read = (files: readonly string[]): Book[] =>
    files.map((file) => {
      const [name, bytes] = [nameOf(file), readDataFile(file)];
      sum = crc32c(bytes, crc32c(encoder.encode(`${name} ${bytes.length}\n`), sum));
      return { name, bytes };
    });
  const books = { train: read(found.train), valid: read(found.valid), test: read(found.test) };
  return { books, identity: `books=${countsOf(books)} crc32c=${hex(sum)}` };
}

function tableSource(found: Splits<readonly string[]>): PairSource {
  let sum = 0;
  const scan = (files: readonly string[]): DocumentPair[] =>
    files.flatMap((file) => {
      const lines: Line[] = [];
      sum = scanLines(file, sum, lines);
      const pairs = lines.map((line, i) => pairOf(file, line, i + 1));
      if (pairs.length === 0) throw new FileError(file, "has no pairs");
      return pairs;
    });
  const pairs = { train: scan(found.train), valid: scan(found.valid), test: scan(found.test) };
  return { pairs, identity: `pairs=${countsOf(pairs)} crc32c=${hex(sum)}` };
}

/** Where a line is in a file, without its end, and its label. */
type Line = { readonly start: number; readonly end: number; readonly label: string };

/** Finds the lines of a file of any size. Gives back the checksum of what came before and the file. */
function scanLines(path: string, before: number, lines: Line[]): number {
  let sum = before;
  withFile(path, (file) => {
    const buffer = Buffer.allocUnsafe(2 ** 22);
    let [place, start, label, inLabel] = [0, 0, "", true];
    const end = (at: number): void => {
      if (at > start) lines.push({ start, end: at, label });
      [start, label, inLabel] = [at + 1, "", true];
    };
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, place);
      if (count === 0) break;
      const bytes = buffer.subarray(0, count);
      sum = crc32c(bytes, sum);
      for (let from = 0; from < count; ) {
        if (inLabel) {
          const byte = bytes[from]!;
          inLabel = byte !== tab && byte !== lineFeed && label.length < 16;
          if (inLabel) {
            label += String.fromCharCode(byte);
            from++;
            continue;
          }
        }
        const next = bytes.indexOf(lineFeed, from);
        if (next < 0) break;
        end(place + next);
        from = next + 1;
      }
      place += count;
    }
    end(place);
  });
  return sum;
}

const [tab, lineFeed] = [9, 10];

function pairOf(path: string, { start, end, label }: Line, number: number): DocumentPair {
  const value = Number(label);
  if (label.trim() === "" || (value !== 0 && value !== 1))
    throw new FileError(path, `line ${number}: expected the label 0 or 1 and a tab, got ${JSON.stringify(label)}`);
  if (end - start > mostLineBytes)
    throw new FileError(path, `line ${number}: has ${end - start} bytes, expected at most ${mostLineBytes}`);
  return {
    label: value,
    read: () => {
      const bytes = Buffer.alloc(end - start);
      withFile(path, (file) => readSync(file, bytes, 0, bytes.length, start));
      const fields = fieldsOf(bytes);
      if (fields.length !== 5)
        throw new FileError(path, `line ${number}: expected 5 fields between tabs, got ${fields.length}`);
      return [fields[3]!, fields[4]!];
    },
  };
}

function fieldsOf(line: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  const end = line.at(-1) === 13 ? line.length - 1 : line.length;
  for (let start = 0; ; ) {
    const next = line.indexOf(tab, start);
    if (next < 0 || next >= end) return [...fields, line.subarray(start, end)];
    fields.push(line.subarray(start, next));
    start = next + 1;
  }
}

function withFile<T>(path: string, act: (file: number) => T): T {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    if (!fstatSync(file).isFile()) throw new FileError(path, "is no file");
    return act(file);
  } catch (error) {
    throw error instanceof FileError ? error : fileError(path, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function countsOf({ train, valid, test }: Splits<readonly unknown[]>): string {
  return [train, valid, test].map(({ length }) => length).join("+");
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, "0");
}
