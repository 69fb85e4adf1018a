import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { FileError } from "../../io/file-error.ts";
import { defaultPieceBytes, noteOnStderr, openText, type TextSource } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import type { EvalSplit } from "../task.ts";
import { addDocuments, documentTokens } from "./document-tokens.ts";
import { readTokenizerAt } from "./read-tokenizer.ts";
import { type SplitBy, splitByNames } from "./split-names.ts";
import { cutAtByte, requireSplits, type TextTask, tokensInMemory, tokenTask } from "./text.ts";
import { addSizes, noSize, sizeOf } from "./text-size.ts";
import { type Progress, type Survey, surveyText } from "./text-survey.ts";
import { type TokenChoice, tokenLearner } from "./text-tokens.ts";
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
import type { ReadText, SplitEnds, Tokens } from "./tokenized-text.ts";

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

/** Tokens are learned from at most so many UTF-16 units: the words of more would not tell much else. */
const learnedUnits = 2 ** 27;

export type TextDataOptions = TokenChoice & {
  readonly data: string;
  readonly extensions: readonly string[];
  /** Default: by names, where files of all three splits are there. */
  readonly splits?: SplitBy | undefined;
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
 * tokens; in between its training split, if tokens are learned from it. Those of a small text are kept in memory. Those of a larger one
 * go to a file in the cache folder, from which windows are read; the file is found again by the contents of text and tokenizer, not by
 * their names.
 *
 * Each file of a folder is a document, with the line feed behind it: the view `segments` reads none into another.
 *
 * Without `context.tokenizer`, the options say what the tokens are. What is unknown to the tokenizer becomes its unknown token, and
 * a note says so.
 *
 * @throws FileError when the text cannot be read or is too short, or its tokens cannot be stored
 */
export async function readTextData(options: TextDataOptions, context: TextDataContext = {}): Promise<ReadText> {
  const { data, extensions, tokens, splits: splitBy } = options;
  const { note = noteOnStderr, memoryBytes = defaultMemoryBytes, pieceBytes = defaultPieceBytes } = context;
  const given =
    context.tokenizer ?? (options.tokenizer === undefined ? undefined : await readTokenizerAt(options.tokenizer));
  const { source, firstFiles } = splitByNames(openText(data, { extensions, note, pieceBytes }), {
    data,
    splitBy,
    note,
  });
  const progress = slowProgress(data, note);
  const withCharacters = given === undefined ? tokens === "character" : given.unknownToken !== undefined;
  const survey = await surveyText(source, { data, withCharacters, progress, firstFiles });
  const isByNames = firstFiles !== undefined;
  const reading = { data, source, survey, isByNames, progress, pieceBytes };
  const tokenizer = given ?? (await ownTokenizer(options, reading));
  const pieces = (): AsyncGenerator<TokenPiece> => tokenPieces(tokenizer, reading);
  const { vocabularySize } = tokenizer;
  const { sizeBytes, sum, ends } = survey;
  const tokenized =
    sizeBytes <= memoryBytes
      ? await collectTokens(pieces(), vocabularySize)
      : await cachedTokens(pieces, { key: keyOf(survey, tokenizer, isByNames), vocabularySize, note });
  if (tokenizer.config.kind === "word") noteUnknownWords(tokenized, tokenizer, data, note);
  else noteUnknown(tokenizer.unknownIn(survey.alphabet), data, note);
  return { tokenizer, tokenized: { ...tokenized, sizeBytes, sum, ...(isByNames && { ends }) } };
}

/** A text that was surveyed, and how it is read again. */
type SurveyedText = {
  readonly data: string;
  readonly source: TextSource;
  readonly survey: Survey;
  /** Whether the names of files decide about splits. */
  readonly isByNames: boolean;
  readonly progress: Progress;
  readonly pieceBytes: number;
};

async function ownTokenizer(
  choice: TokenChoice,
  { source, survey, progress, pieceBytes }: SurveyedText,
): Promise<Tokenizer> {
  const learner = tokenLearner(choice);
  if (learner === undefined)
    return choice.tokens === "byte" ? byteTokenizer() : characterTokenizer(survey.trainAlphabet);
  let units = 0;
  for (const [split, text] of bySplit(wholeLines(textsOf(source), pieceBytes), survey.ends)) {
    if (split > 0 || units >= learnedUnits) break;
    learner.add(text);
    units += text.length;
    progress("read for its words", units / Math.min(survey.units, learnedUnits));
    await turn();
  }
  return learner.tokenizer();
}

function* textsOf(source: TextSource): Generator<string> {
  for (const { text } of source.pieces()) yield text;
}

/** The text as tokens, split by split. @throws FileError when it is too short to split, or has changed since the survey */
async function* tokenPieces(
  tokenizer: Tokenizer,
  { data, source, survey, isByNames, progress, pieceBytes }: SurveyedText,
): AsyncGenerator<TokenPiece> {
  let check = 0;
  function* summed(): Generator<string> {
    for (const { text, utf8 } of source.pieces()) {
      check = crc32(utf8, check);
      yield text;
    }
  }
  const units = [0, 0, 0];
  let [done, document] = [0, 0];
  let before = { split: 0, text: "" };
  for (const [split, text] of bySplit(wholeLines(summed(), pieceBytes), survey.ends)) {
    const starts: number[] = [];
    while (survey.documents[document]! < done + text.length) starts.push(survey.documents[document++]! - done);
    units[split]! += text.length;
    done += text.length;
    yield {
      split: splitNames[split]!,
      ...documentTokens(tokenizer, text, starts),
      size: split === 0 ? noSize : sizeOf(text, before.split === split ? before.text : ""),
    };
    before = { split, text: text.slice(-1) };
    progress("turned into tokens", done / survey.units);
    await turn();
  }
  if (check !== survey.check) throw new FileError(data, "the text changed while it was read; start again");
  requireSplits(data, units, isByNames);
}

/**
 * Regroups pieces so that each has at least `least` units and ends at the end of a line, if there is one, or before a space: a tokenizer that merges
 * characters then sees whole lines, or whole words. A shorter text stays one piece.
 */
function* wholeLines(pieces: Iterable<string>, least: number): Generator<string> {
  let held = "";
  for (const piece of pieces) {
    if (held.length >= least) {
      const end = held.lastIndexOf("\n") + 1 || Math.max(held.lastIndexOf(" "), 0) || held.length;
      yield held.slice(0, end);
      held = held.slice(end);
    }
    held += piece;
  }
  yield held;
}

/** Cuts pieces at the ends of the splits, and says which split each belongs to. */
function* bySplit(pieces: Iterable<string>, ends: SplitEnds): Generator<[split: number, text: string]> {
  let [position, split] = [0, 0];
  for (const piece of pieces) {
    let rest = piece;
    let bytes = Buffer.byteLength(rest);
    while (split < ends.length && position + bytes > ends[split]!) {
      const cut = cutAtByte(rest, ends[split]! - position);
      if (cut > 0) yield [split, rest.slice(0, cut)];
      rest = rest.slice(cut);
      const left = Buffer.byteLength(rest);
      position += bytes - left;
      bytes = left;
      split++;
    }
    if (rest !== "") yield [split, rest];
    position += bytes;
  }
}

async function collectTokens(pieces: AsyncIterable<TokenPiece>, vocabularySize: number): Promise<SplitTokens> {
  const parts: Record<"train" | EvalSplit, TokenArray[]> = { train: [], valid: [], test: [] };
  const documents = { train: [0], valid: [0], test: [0] };
  const lengths = { train: 0, valid: 0, test: 0 };
  let evaluationSize = noSize;
  for await (const { split, tokens, documents: places, size } of pieces) {
    parts[split].push(narrowed(tokens, vocabularySize));
    addDocuments(documents[split], places, lengths[split]);
    lengths[split] += tokens.length;
    evaluationSize = addSizes(evaluationSize, size);
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
  return { evaluationSize, splits, documents };
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

/** Identifies a token file: the same text in other files has other documents, and may have other splits. */
function keyOf({ sha256, documents, ends }: Survey, tokenizer: Tokenizer, isByNames: boolean): string {
  const files = documents.length > 1 ? ` ${documents.join(" ")}` : "";
  const splits = isByNames ? ` splits ${ends.join(" ")}` : "";
  return createHash("sha256")
    .update(`${sha256} ${JSON.stringify(tokenizer.config)}${files}${splits}`)
    .digest("hex")
    .slice(0, 32);
}

function noteUnknown(unknown: readonly string[], data: string, note: Note): void {
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, 12).map((character) => JSON.stringify(character));
  const more = unknown.length > shown.length ? ` and ${unknown.length - shown.length} more` : "";
  note(`${data}: read as unknown, since the tokenizer has no token for them: ${shown.join(" ")}${more}`);
}

const countedTokens = 2 ** 20;

/** Says how many words of the evaluation splits have no token. */
function noteUnknownWords({ splits }: SplitTokens, { unknownToken }: Tokenizer, data: string, note: Note): void {
  const shares = (["valid", "test"] as const).map((split) => {
    const { length, read } = splits[split];
    let unknown = 0;
    for (let start = 0; start < length; start += countedTokens) {
      for (const token of read(start, Math.min(start + countedTokens, length))) if (token === unknownToken) unknown++;
    }
    return { split, share: unknown / length };
  });
  if (shares.every(({ share }) => share === 0)) return;
  const texts = shares.map(({ split, share }) => `${(100 * share).toFixed(1)} % of ${split}`);
  note(`${data}: words without a token are read as <unk>: ${texts.join(", ")}`);
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
