import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { FileError } from "../../io/file-error.ts";
import { defaultPieceBytes, noteOnStderr, openText, type TextSource } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import type { EvalSplit } from "../task.ts";
import { addDocuments, documentTokens } from "./document-tokens.ts";
import {
  characterBoundary,
  countCharacters,
  requireSplits,
  splitEnds,
  type TextTask,
  tokensInMemory,
  tokenTask,
} from "./text.ts";
import { type Progress, type Survey, surveyText } from "./text-survey.ts";
import {
  cacheFolder,
  narrowed,
  openTokenFile,
  type SplitTokens,
  type TokenArray,
  type TokenPiece,
  tokenArray,
  tokenFilePath,
  writeTokenFile,
} from "./token-file.ts";
import type { ReadText, Tokens } from "./tokenized-text.ts";

/** How a text is read; everything except `tokenizer` and `note` is for tests. */
export type TextDataContext = {
  /** Use this tokenizer instead of making one from the text. */
  readonly tokenizer?: Tokenizer;
  /** Called for what is skipped and, if reading takes long, for its progress. Default: a line on stderr. */
  readonly note?: Note;
  /** The largest text, in bytes, whose tokens are kept in memory. Default: 128 MiB. */
  readonly memoryBytes?: number;
  /** Bytes read at a time. Default: 4 MiB. */
  readonly pieceBytes?: number;
};

const splitNames: readonly ("train" | EvalSplit)[] = ["train", "valid", "test"];
const defaultMemoryBytes = 2 ** 27;
/** Reading that takes longer is reported with its progress. */
const patienceMs = 5_000;

export type TextDataOptions = {
  readonly data: string;
  readonly tokens: "character" | "byte";
  readonly extensions: readonly string[];
};

/**
 * Makes the task of {@link textTask} for a file or folder of any size: that of {@link readTextData}, or of a text that was read before.
 *
 * @throws FileError when the text cannot be read or is too short, or its tokens cannot be stored
 */
export async function textDataTask(
  options: TextDataOptions & { readonly length: number; readonly seed: number },
  context: TextDataContext & { readonly text?: ReadText } = {},
): Promise<TextTask> {
  return tokenTask({ ...options, ...(context.text ?? (await readTextData(options, context))) });
}

/**
 * Reads a file or folder of any size as tokens.
 *
 * The text is read twice, piece by piece: first for its length, checksums and characters, then to turn it into
 * tokens. Those of a small text are kept in memory. Those of a larger one go to a file in the cache folder, from which
 * windows are read; the file is found again by the contents of text and tokenizer, not by their names.
 *
 * Each file of a folder is a document, with the line feed behind it: the view `segments` reads none into another.
 *
 * Without `tokenizer`, the tokens are bytes, or the characters of the training split. Characters unknown to the tokenizer become
 * its unknown token, and a note lists them.
 *
 * @throws FileError when the text cannot be read or is too short, or its tokens cannot be stored
 */
export async function readTextData(options: TextDataOptions, context: TextDataContext = {}): Promise<ReadText> {
  const { data, extensions, tokens } = options;
  const { tokenizer: given, note = noteOnStderr } = context;
  const { memoryBytes = defaultMemoryBytes, pieceBytes = defaultPieceBytes } = context;
  const source = openText(data, { extensions, note, pieceBytes });
  const progress = slowProgress(data, note);
  const withCharacters = given === undefined ? tokens === "character" : given.unknownToken !== undefined;
  const survey = await surveyText(source, { data, withCharacters, progress });
  const tokenizer = given ?? (tokens === "byte" ? byteTokenizer() : characterTokenizer(survey.trainAlphabet));
  const pieces = (): AsyncGenerator<TokenPiece> =>
    tokenPieces(source, { data, survey, tokenizer, progress, pieceBytes });
  const { vocabularySize } = tokenizer;
  const tokenized =
    survey.sizeBytes <= memoryBytes
      ? await collectTokens(pieces(), vocabularySize)
      : await cachedTokens(pieces, { key: keyOf(survey, tokenizer), vocabularySize, note });
  noteUnknown(tokenizer.unknownIn(survey.alphabet), data, note);
  return { tokenizer, tokenized: { ...tokenized, sizeBytes: survey.sizeBytes, sum: survey.sum } };
}

/** The text as tokens, split by split. @throws FileError when it is too short to split, or has changed since the survey */
async function* tokenPieces(
  source: TextSource,
  options: { data: string; survey: Survey; tokenizer: Tokenizer; progress: Progress; pieceBytes: number },
): AsyncGenerator<TokenPiece> {
  const { data, survey, tokenizer, progress, pieceBytes } = options;
  let check = 0;
  function* summed(): Generator<string> {
    for (const { text, utf8 } of source.pieces()) {
      check = crc32(utf8, check);
      yield text;
    }
  }
  const units = [0, 0, 0];
  let [done, document] = [0, 0];
  for (const [split, text] of bySplit(wholeLines(summed(), pieceBytes), splitEnds(survey.units))) {
    const starts: number[] = [];
    while (survey.documents[document]! < done + text.length) starts.push(survey.documents[document++]! - done);
    units[split]! += text.length;
    done += text.length;
    yield {
      split: splitNames[split]!,
      ...documentTokens(tokenizer, text, starts),
      characters: split === 0 ? 0 : countCharacters(text),
    };
    progress("turned into tokens", done / survey.units);
    await turn();
  }
  if (check !== survey.check) throw new FileError(data, "the text changed while it was read; start again");
  requireSplits(data, units);
}

/**
 * Regroups pieces so that each has at least `least` units and ends at the end of a line, if there is one: a tokenizer that merges
 * characters then sees whole lines. A shorter text stays one piece.
 */
function* wholeLines(pieces: Iterable<string>, least: number): Generator<string> {
  let held = "";
  for (const piece of pieces) {
    if (held.length >= least) {
      const end = held.lastIndexOf("\n") + 1 || held.length;
      yield held.slice(0, end);
      held = held.slice(end);
    }
    held += piece;
  }
  yield held;
}

/** Cuts pieces at the ends of the splits, and says which split each belongs to. */
function* bySplit(pieces: Iterable<string>, ends: readonly number[]): Generator<[split: number, text: string]> {
  let [position, split] = [0, 0];
  for (const piece of pieces) {
    let rest = piece;
    while (split < ends.length && position + rest.length > ends[split]!) {
      const cut = characterBoundary(rest, ends[split]! - position);
      if (cut > 0) yield [split, rest.slice(0, cut)];
      rest = rest.slice(cut);
      position += cut;
      split++;
    }
    if (rest !== "") yield [split, rest];
    position += rest.length;
  }
}

async function collectTokens(pieces: AsyncIterable<TokenPiece>, vocabularySize: number): Promise<SplitTokens> {
  const parts: Record<"train" | EvalSplit, TokenArray[]> = { train: [], valid: [], test: [] };
  const documents = { train: [0], valid: [0], test: [0] };
  const lengths = { train: 0, valid: 0, test: 0 };
  let evaluationCharacters = 0;
  for await (const { split, tokens, documents: places, characters } of pieces) {
    parts[split].push(narrowed(tokens, vocabularySize));
    addDocuments(documents[split], places, lengths[split]);
    lengths[split] += tokens.length;
    evaluationCharacters += characters;
  }
  const joined = (split: "train" | EvalSplit): Tokens => {
    const whole = tokenArray(vocabularySize, lengths[split]);
    let position = 0;
    for (const part of parts[split]) {
      whole.set(part, position);
      position += part.length;
    }
    return tokensInMemory(whole);
  };
  const splits = { train: joined("train"), valid: joined("valid"), test: joined("test") };
  return { evaluationCharacters, splits, documents };
}

async function cachedTokens(
  pieces: () => AsyncIterable<TokenPiece>,
  { key, vocabularySize, note }: { key: string; vocabularySize: number; note: Note },
): Promise<SplitTokens> {
  const path = tokenFilePath(cacheFolder(), key);
  const found = await openTokenFile(path, vocabularySize);
  if (found === "damaged") note(`${path}: damaged; it is made anew`);
  else if (found !== undefined) return found;
  await writeTokenFile(path, vocabularySize, pieces());
  const made = await openTokenFile(path, vocabularySize);
  if (made === "damaged" || made === undefined) throw new FileError(path, "was changed while it was made; start again");
  return made;
}

/** Identifies a token file: the same text in other files has other documents. */
function keyOf({ sha256, documents }: Survey, tokenizer: Tokenizer): string {
  const files = documents.length > 1 ? ` ${documents.join(" ")}` : "";
  return createHash("sha256")
    .update(`${sha256} ${JSON.stringify(tokenizer.config)}${files}`)
    .digest("hex")
    .slice(0, 32);
}

function noteUnknown(unknown: readonly string[], data: string, note: Note): void {
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, 12).map((character) => JSON.stringify(character));
  const more = unknown.length > shown.length ? ` and ${unknown.length - shown.length} more` : "";
  note(`${data}: read as unknown, since the tokenizer has no token for them: ${shown.join(" ")}${more}`);
}

/** Reports progress of work that takes longer than {@link patienceMs}, and again after each such period. */
function slowProgress(data: string, note: Note): Progress {
  let silentUntil = Date.now() + patienceMs;
  return (work, share) => {
    if (Date.now() < silentUntil) return;
    silentUntil = Date.now() + patienceMs;
    note(`${data}: ${Math.floor(100 * Math.min(share, 1))} % ${work}`);
  };
}
