import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { temporaryPath } from "../../io/atomic-file.ts";
import { FileError, fileError } from "../../io/file-error.ts";
import { makeFolder } from "../../io/make-folder.ts";
import type { EvalSplit } from "../task.ts";
import { addDocuments } from "./document-tokens.ts";
import { addSizes, noSize } from "./text-size.ts";
import type { Documents, TextSize, TokenizedText, Tokens } from "./tokenized-text.ts";

/** Consecutive tokens of a split. Pieces come in the order of the splits. */
export type TokenPiece = {
  readonly split: "train" | EvalSplit;
  readonly tokens: Int32Array;
  /** Those of the tokens at which documents begin, ascending. */
  readonly documents: readonly number[];
  /** Of what they stand for, counted for evaluation splits only, else nothing. */
  readonly size: TextSize;
};

export type SplitTokens = Required<Pick<TokenizedText, "splits" | "documents" | "evaluationSize">>;

export type TokenArray = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/*
 * A token file: the tokens of the splits train, valid and test, one after the other, each in the format of `tokenArray`; then
 * float64 numbers: where the documents of train, valid and test begin, and a footer of `magic`, bytes per token, tokens of train,
 * valid and test, documents of train, valid and test, characters, bytes and words of valid and test together, and the CRC-32 of the
 * file's name and everything before this number. Because of the name, a renamed file is not mistaken for the right one. Numbers have the byte order of the machine.
 */
type Properties = { readonly tokens: Counts; readonly documents: Documents; readonly evaluationSize: TextSize };
type Counts = readonly [train: number, valid: number, test: number];
const footerLength = 12;
const footerBytes = 8 * footerLength;
/** "tsfm" and the version of the format; in the other byte order it is a different number. */
const magic = 0x7473666d_0003;
const readBytes = 2 ** 22;
const suffix = ".tokens";
/** A temporary file that was not written to for so long must have been left by a killed process. */
const leftAfterMs = 3_600_000;

/** The folder for files that can be recreated: `TSFORMERS_CACHE`, else `tsformers` in `XDG_CACHE_HOME`, else in `~/.cache`. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { TSFORMERS_CACHE: own, XDG_CACHE_HOME: shared } = environment;
  if (own !== undefined && own !== "") return own;
  // The standard says that a relative path must be ignored here.
  return join(shared !== undefined && isAbsolute(shared) ? shared : join(homedir(), ".cache"), "tsformers");
}

/** An array of the smallest unsigned type that holds the tokens of a vocabulary. */
export function tokenArray(vocabularySize: number, length: number): TokenArray {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}

export function narrowed(tokens: Int32Array, vocabularySize: number): TokenArray {
  const array = tokenArray(vocabularySize, tokens.length);
  array.set(tokens);
  return array;
}

/** Path of the token file with a given key. */
export function tokenFilePath(folder: string, key: string): string {
  return join(folder, `${key}${suffix}`);
}

/**
 * Opens a token file. It is read once as a whole to check it; later only windows are read. It stays open as long as its tokens
 * are in use, even if another process removes it.
 *
 * @returns undefined if there is none; "damaged" if it is truncated, altered, or in another format
 */
export async function openTokenFile(
  path: string,
  vocabularySize: number,
): Promise<SplitTokens | "damaged" | undefined> {
  const file = openFile(path);
  if (file === undefined) return undefined;
  const whole = await readProperties(path, file, vocabularySize);
  if (whole === undefined) {
    closeSync(file);
    return "damaged";
  }
  const owner = { file };
  toClose.register(owner, file);
  const { documents, evaluationSize } = whole;
  const [train, valid, test] = whole.tokens;
  const split = (from: number, length: number): Tokens => ({
    length,
    read: (start, end) => {
      const tokens = tokenArray(vocabularySize, end - start);
      const position = (from + start) * tokens.BYTES_PER_ELEMENT;
      if (readFully(path, owner.file, new Uint8Array(tokens.buffer), position)) return tokens;
      throw new FileError(path, "was cut off while it was in use; start again");
    },
  });
  return {
    splits: { train: split(0, train), valid: split(train, valid), test: split(train + valid, test) },
    documents,
    evaluationSize,
  };
}

/**
 * Writes a token file completely or not at all, whatever other processes do: it is written under another name and renamed.
 * Nothing is synced to disk, since the checksum detects a file that a crash of the machine has damaged.
 *
 * @throws FileError when it cannot be written, and what `pieces` throws
 */
export async function writeTokenFile(
  path: string,
  vocabularySize: number,
  pieces: AsyncIterable<TokenPiece>,
): Promise<void> {
  const writing = <T>(act: () => Promise<T>): Promise<T> => act().catch((error) => refuseFolder(path, error));
  await writing(() => makeRoom(dirname(path)));
  const temporary = temporaryPath(path);
  const file = await writing(() => open(temporary, "wx"));
  try {
    const lengths = { train: 0, valid: 0, test: 0 };
    const documents = { train: [0], valid: [0], test: [0] };
    let size = noSize;
    let check = crc32(basename(path));
    const append = async (bytes: Uint8Array): Promise<void> => {
      check = crc32(bytes, check);
      await writing(() => file.appendFile(bytes));
    };
    for await (const piece of pieces) {
      const tokens = narrowed(piece.tokens, vocabularySize);
      addDocuments(documents[piece.split], piece.documents, lengths[piece.split]);
      lengths[piece.split] += tokens.length;
      size = addSizes(size, piece.size);
      await append(new Uint8Array(tokens.buffer));
    }
    const { train, valid, test } = documents;
    const itemBytes = tokenArray(vocabularySize, 0).BYTES_PER_ELEMENT;
    const tokens = [lengths.train, lengths.valid, lengths.test];
    await append(bytesOf([...train, ...valid, ...test]));
    const lengthsOfDocuments = [train.length, valid.length, test.length];
    const { characters, bytes, words } = size;
    await append(bytesOf([magic, itemBytes, ...tokens, ...lengthsOfDocuments, characters, bytes, words]));
    await writing(() => file.appendFile(bytesOf([check])));
    await file.close();
    await writing(() => rename(temporary, path));
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

function bytesOf(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(numbers).buffer);
}

const toClose = new FinalizationRegistry<number>((file) => closeSync(file));

function openFile(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw fileError(path, error);
  }
}

/** What the file says behind its tokens, if the checksum matches. */
async function readProperties(path: string, file: number, vocabularySize: number): Promise<Properties | undefined> {
  const footer = new Float64Array(footerLength);
  const size = fstatSync(file).size;
  if (size < footerBytes || !readFully(path, file, new Uint8Array(footer.buffer), size - footerBytes)) return undefined;
  const [form, itemBytes = 0] = footer;
  const tokens = countsIn(footer.subarray(2, 5));
  const counts = countsIn(footer.subarray(5, 8));
  const [characters = 0, bytes = 0, words = 0, writtenSum] = footer.subarray(8);
  const fits = form === magic && itemBytes === tokenArray(vocabularySize, 0).BYTES_PER_ELEMENT;
  const documentBytes = 8 * sum(counts);
  if (!fits || size !== sum(tokens) * itemBytes + documentBytes + footerBytes) return undefined;
  let check = crc32(basename(path));
  const summed = size - 8;
  for (let position = 0; position < summed; position += readBytes) {
    const piece = new Uint8Array(Math.min(readBytes, summed - position));
    if (!readFully(path, file, piece, position)) return undefined;
    check = crc32(piece, check);
    await turn();
  }
  const starts = new Float64Array(sum(counts));
  const found = readFully(path, file, new Uint8Array(starts.buffer), size - footerBytes - documentBytes);
  if (!found || writtenSum !== check) return undefined;
  const [train, valid] = counts;
  const documents = {
    train: Array.from(starts.subarray(0, train)),
    valid: Array.from(starts.subarray(train, train + valid)),
    test: Array.from(starts.subarray(train + valid)),
  };
  return { tokens, documents, evaluationSize: { characters, bytes, words } };
}

function countsIn([train = 0, valid = 0, test = 0]: Float64Array): Counts {
  return [train, valid, test];
}

function sum([train, valid, test]: Counts): number {
  return train + valid + test;
}

/** Fills `bytes` from a position in a file. @returns false if the file ends before that */
function readFully(path: string, file: number, bytes: Uint8Array, position: number): boolean {
  for (let done = 0; done < bytes.length; ) {
    const count = readSome(path, file, bytes.subarray(done), position + done);
    if (count === 0) return false;
    done += count;
  }
  return true;
}

function readSome(path: string, file: number, bytes: Uint8Array, position: number): number {
  try {
    return readSync(file, bytes, 0, bytes.length, position);
  } catch (error) {
    throw fileError(path, error);
  }
}

async function makeRoom(folder: string): Promise<void> {
  makeFolder(folder);
  const names = (await readdir(folder)).filter((name) => name.includes(`${suffix}.`) && name.endsWith(".tmp"));
  for (const path of names.map((name) => join(folder, name))) {
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (written !== undefined && written < Date.now() - leftAfterMs) await rm(path, { force: true });
  }
}

function refuseFolder(path: string, error: unknown): never {
  const { message, isOfDisk } = fileError(path, error);
  throw new FileError(
    dirname(path),
    `the tokens of a large text are kept here, which failed (${message}); TSFORMERS_CACHE names another folder`,
    isOfDisk,
  );
}
