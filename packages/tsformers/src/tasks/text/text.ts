import { foldIn, integers, NDArray, type RandomKey, randomKey } from "@tsformers/engine";
import * as z from "zod";
import { crc32c } from "../../io/crc32c.ts";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";
import { type WordStarts, wordStarts } from "../../tokenizers/word-starts.ts";
import { maskedView } from "../masked.ts";
import { bitsPerByte, bitsPerCharacter, loss, perplexity, wordPerplexity } from "../metric.ts";
import { type SegmentedSplit, segmentsView } from "../segments.ts";
import { mapSplits, type Splits } from "../splits.ts";
import {
  type Batch,
  checkExtents,
  type EvalOptions,
  type EvalSplit,
  type Task,
  type TaskView,
  type TaskViews,
  type TextSource,
} from "../task.ts";
import { lengthOption, seedOption, type TaskContext, type TaskEntry, taskEntry } from "../task-entry.ts";
import { grammarText } from "./grammar.ts";
import { sentencePairsView } from "./sentence-pairs.ts";
import { addSizes, sizeOf } from "./text-size.ts";
import { type TokenKind, tokenizerOf } from "./text-tokens.ts";
import type { SplitEnds, TokenizedText, Tokens } from "./tokenized-text.ts";
import { withNeighbours } from "./with-neighbours.ts";

/** A task with all views of one text: windows that begin anywhere, rows that continue from batch to batch, windows with hidden tokens, pairs of sentences. */
export type TextTask = Task<Required<Pick<TaskViews, "next" | "segments" | "masked" | "sentences">>> & {
  readonly text: TextSource;
};

const defaults = { length: 128 };

/**
 * Language modelling of a text: predict each next token.
 *
 * The text is split by position: the first 90 % of its bytes for training, then 5 % valid, 5 % test. Training rows are windows that begin
 * anywhere in the training split. Evaluation cuts a split into consecutive windows: row `b` of one batch is continued by
 * row `b` of the next, for models with a memory. The same tokens are scored at each length,
 * tokens 1 … `limit` of the split. Default of `limit`: the whole split.
 *
 * The text and its tokens are kept in memory; `createTask("text", { data })` reads files of any size.
 *
 * @param options.tokenizer makes the tokenizer from the training split, such as `characterTokenizer`
 * @param options.length Default: 128
 * @param options.seed Default: 0
 * @throws Error when the text is too short to split; RangeError when a split is shorter than a window
 */
export function textTask(options: {
  text: string;
  tokenizer: (trainText: string) => Tokenizer;
  length?: number;
  seed?: number;
}): TextTask {
  const { text } = options;
  const pieces = splitText(text);
  const tokenizer = options.tokenizer(pieces.train);
  const split = (name: "train" | EvalSplit): Tokens => tokensInMemory(tokenizer.encode(pieces[name]));
  const bytes = new TextEncoder().encode(text);
  return tokenTask({
    ...options,
    tokenizer,
    tokenized: {
      splits: { train: split("train"), valid: split("valid"), test: split("test") },
      evaluationSize: addSizes(sizeOf(pieces.valid), sizeOf(pieces.test)),
      sizeBytes: bytes.length,
      sum: crc32c(bytes),
    },
  });
}

export function tokensInMemory(tokens: ReturnType<Tokens["read"]>): Tokens {
  return { length: tokens.length, read: (start, end) => tokens.subarray(start, end) };
}

/** Makes the task of {@link textTask} from the tokens of a text. */
export function tokenTask(options: {
  tokenized: TokenizedText;
  tokenizer: Tokenizer;
  length?: number;
  seed?: number;
}): TextTask {
  const { tokenized, tokenizer, length: defaultLength = defaults.length, seed = 0 } = options;
  const { splits, sizeBytes, sum, documents, ends, evaluationSize } = tokenized;
  const { train, valid, test } = splits;
  const evaluationTokens = valid.length + test.length;
  const trainKey = foldIn(randomKey(seed), 0);

  /** How many tokens of a split are scored. */
  const scoredIn = (split: EvalSplit, { batchSize, length, limit }: EvalOptions): number => {
    checkExtents("text", { batchSize, length, ...present({ limit }) });
    requireWindow(split, splits[split], length);
    const scored = Math.min(limit ?? Number.POSITIVE_INFINITY, splits[split].length - 1);
    if (scored >= length) return scored;
    throw new RangeError(`text: limit must be at least the length to fill a window, got ${limit} at length ${length}`);
  };

  const next: TaskView<Batch> = {
    trainBatch: (step, batchSize, length = defaultLength) => {
      checkExtents("text", { batchSize, length });
      requireWindow("train", train, length);
      const starts = randomStarts(foldIn(trainKey, step), batchSize, train.length - length);
      return windows(train, length, starts, train.length);
    },

    evalBatches: (split, options) => next.slidingBatches!(split, { ...options, stride: options.length }),

    slidingBatches: (split, options) => {
      const { batchSize, length, stride } = options;
      const scored = scoredIn(split, options);
      if (!(Number.isSafeInteger(stride) && stride >= 1 && stride <= length)) {
        throw new RangeError(`text: stride must be an integer from 1 to the length ${length}, got ${stride}`);
      }
      const tokens = splits[split];
      const batches = Math.ceil((1 + Math.ceil((scored - length) / stride)) / batchSize);
      return {
        *[Symbol.iterator]() {
          for (let j = 0; j < batches; j++) {
            const starts = Array.from({ length: batchSize }, (_, b) => (j * batchSize + b) * stride);
            yield windows(tokens, length, starts, scored + 1, stride);
          }
        },
      };
    },
  };
  const segmentsOf = (splits: Splits<SegmentedSplit>) =>
    segmentsView({ name: "text", splits, documents, key: foldIn(randomKey(seed), 1), length: defaultLength });
  let starts: WordStarts | undefined;
  // Made when it is asked for: it looks at every token of the vocabulary.
  const words = (): WordStarts => {
    starts ??= wordStarts(tokenizer);
    return starts;
  };
  const fingerprint = [
    `text ${tokenizer.config.kind}${tokenizerSum(tokenizer)}`,
    `bytes=${sizeBytes} crc32c=${sum.toString(16)}`,
    ...(ends === undefined ? [] : [`splits=${ends.join()}`]),
  ].join(" ");
  return {
    name: "text",
    vocabularySize: tokenizer.vocabularySize,
    length: defaultLength,
    metrics: [
      loss,
      bitsPerCharacter(evaluationTokens / evaluationSize.characters),
      bitsPerByte(evaluationTokens / evaluationSize.bytes),
      perplexity,
      wordPerplexity(evaluationTokens / evaluationSize.words),
    ],
    fingerprint: `${fingerprint} seed=${seed}`,
    tokenizer,
    text: { fingerprint, splits, ...present({ documents }), places: segmentsOf(mapSplits(splits, placesIn)) },
    views: {
      next,
      segments: segmentsOf(splits),
      masked: maskedView(next, { ...tokenizer, seed, wordStarts: (tokens) => words()(tokens) }),
      sentences: sentencePairsView({ splits, tokenizer, length: defaultLength, seed }),
    },
  };
}

/** A split whose tokens are their own places. */
function placesIn({ length }: SegmentedSplit): SegmentedSplit {
  return { length, read: (start, end) => Int32Array.from({ length: end - start }, (_, i) => start + i) };
}

/** Tells tokenizers apart that the text alone does not determine. */
function tokenizerSum({ config }: Tokenizer): string {
  if (config.kind === "byte" || config.kind === "character") return "";
  return `:${crc32c(new TextEncoder().encode(JSON.stringify(config))).toString(16)}`;
}

/**
 * Random start positions in 0 … count − 1. Beyond 2^32 positions, the limit of `integers`, it draws a block of equal size
 * and a position inside; the few positions after the last whole block are then never drawn.
 */
function randomStarts(key: RandomKey, batchSize: number, count: number): number[] {
  const stretch = Math.ceil(count / 2 ** 32);
  const draw = (from: RandomKey, high: number): number[] =>
    integers(from, [batchSize], { high, dtype: "int64" }).toNumbers();
  const stretches = draw(key, Math.floor(count / stretch));
  if (stretch === 1) return stretches;
  const places = draw(foldIn(key, 0), stretch);
  return stretches.map((number, row) => number * stretch + places[row]!);
}

/**
 * Rows that begin at the given starts; positions at or beyond `end` get token 0 and weight 0.
 *
 * @param stride how many of the last positions of a row are scored, unless it begins at 0
 */
function windows(tokens: Tokens, length: number, starts: readonly number[], end: number, stride = length): Batch {
  const shape = [starts.length, length];
  const inputs = new Int32Array(starts.length * length);
  const targets = new Int32Array(starts.length * length);
  const weights = new Float32Array(starts.length * length);
  starts.forEach((start, row) => {
    const count = Math.min(Math.max(end - 1 - start, 0), length);
    if (count === 0) return;
    const window = tokens.read(start, start + count + 1);
    inputs.set(window.subarray(0, count), row * length);
    targets.set(window.subarray(1), row * length);
    const before = start === 0 ? 0 : Math.min(length - stride, count);
    weights.fill(1, row * length + before, row * length + count);
  });
  return {
    inputs: new NDArray(shape, "int32", inputs),
    targets: new NDArray(shape, "int32", targets),
    weights: new NDArray(shape, "float32", weights),
  };
}

/** The splits of a text, by position. @throws RangeError when it is too short */
export function splitText(text: string): Record<"train" | EvalSplit, string> {
  const [a, b] = splitEnds(new TextEncoder().encode(text).length).map((end) => cutAtByte(text, end));
  const pieces = { train: text.slice(0, a), valid: text.slice(a, b), test: text.slice(b) };
  requireSplits(
    "text",
    Object.values(pieces).map(({ length }) => length),
  );
  return pieces;
}

/** Ends of the training and the validation split of a text of so many bytes; see {@link cutAtByte}. */
export function splitEnds(bytes: number): SplitEnds {
  return [Math.floor(bytes * 0.9), Math.floor(bytes * 0.95)];
}

/** How many UTF-16 units of a text have their place before a byte of its UTF-8. A character that goes on beyond it does not. */
export function cutAtByte(text: string, byte: number): number {
  const utf8 = new TextEncoder().encode(text);
  let end = byte;
  while (end < utf8.length && (utf8[end]! & 0xc0) === 0x80) end--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8.subarray(0, end)).length;
}

/** @throws RangeError when a split has fewer than two UTF-16 units */
export function requireSplits(source: string, units: readonly number[], isByNames = false): void {
  if (units.every((count) => count >= 2)) return;
  if (isByNames) {
    const [train, valid, test] = units;
    throw new RangeError(
      `${source}: each split needs at least 2 characters, got ${train} train, ${valid} valid, ${test} test`,
    );
  }
  const all = units.reduce((sum, count) => sum + count, 0);
  throw new RangeError(`${source}: expected at least 40 characters to split 90 / 5 / 5, got ${all}`);
}

function requireWindow(split: string, tokens: Tokens, length: number): void {
  if (tokens.length > length) return;
  throw new RangeError(
    `text: a window of length ${length} needs ${length + 1} tokens, the ${split} split has ${tokens.length}; use a shorter length or a longer text`,
  );
}

export type TextSettings = {
  readonly data?: string;
  readonly tokens?: TokenKind;
  readonly vocabulary?: number;
  readonly tokenizer?: string;
  readonly neighbours?: string;
  readonly splits?: "position" | "names";
  readonly extensions?: readonly string[];
  readonly length?: number;
  readonly seed?: number;
};

export const textEntry: TaskEntry<"text", TextSettings> = /* @__PURE__ */ taskEntry({
  name: "text",
  title: "Text",
  category: "data",
  summary: "predict the next character, byte, byte pair token or word of any text",
  options: () =>
    z.strictObject({
      data: z
        .string()
        .min(1, "expected the path of a file or folder")
        .optional()
        .describe("a text file, or a folder of them, each one a document. Default: text of a built-in grammar"),
      tokens: z
        .enum(["character", "byte", "bpe", "word"])
        .default("character")
        .describe("what one token is; bpe and word learn their tokens from the training split"),
      vocabulary: count(1_000_000, "the vocabulary is made in memory", 2)
        .optional()
        .describe("the most tokens that bpe (at least 256) or word may have. Default: 1,000 for bpe, 50,000 for word"),
      tokenizer: z
        .string()
        .min(1, "expected the path of a tokenizer.json, or of a folder with one")
        .optional()
        .describe("a tokenizer.json, or a folder with one, that takes the place of tokens"),
      neighbours: z
        .string()
        .min(1, "expected the path of a file")
        .optional()
        .describe("a file of `tsformers store neighbours`, with the tokens that spalm reads beside the text"),
      splits: z
        .enum(["position", "names"])
        .optional()
        .describe(
          "the first 90 % of the bytes train, then 5 % valid and 5 % test; or by the names of files: train, valid, test. Default: names if there are all three",
        ),
      extensions: z
        .array(z.string().regex(/^(\.\S+|\*)$/, 'an extension like ".txt", or "*" for every text file'))
        .min(1)
        .default([".txt", ".md", ".tokens"])
        .describe('which files of a folder are read, also with .gz behind it; "*" is every text file'),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ neighbours, ...settings }, context) => {
    const task = await makeText(settings, context);
    if (neighbours === undefined) return task;
    const { readNeighbourTable } = await import("#files");
    return withNeighbours(task, await readNeighbourTable(neighbours), neighbours);
  },
});

type MakeText = Omit<Required<TextSettings>, "data" | "vocabulary" | "tokenizer" | "splits" | "neighbours"> &
  Pick<
    { readonly [Name in keyof TextSettings]: TextSettings[Name] | undefined },
    "data" | "vocabulary" | "tokenizer" | "splits"
  >;

/** The task of settings, but for neighbours. */
async function makeText(
  { data, tokens, vocabulary, tokenizer: file, splits, extensions, length, seed }: MakeText,
  context: TaskContext,
): Promise<TextTask> {
  requireOneVocabulary(tokens, vocabulary, file);
  const rest = { length, seed };
  const choice = { tokens, vocabulary, tokenizer: file };
  if (data !== undefined) {
    const { textDataTask } = await import("#files");
    return textDataTask({ data, ...choice, splits, extensions, ...rest }, context);
  }
  if (splits === "names") throw new RangeError("splits: names are those of files; give data");
  const text = grammarText();
  const tokenizer = context.tokenizer ?? (await tokenizerOf(splitText(text).train, choice));
  return textTask({ text, tokenizer: () => tokenizer, ...rest });
}

function requireOneVocabulary(tokens: TokenKind, vocabulary: number | undefined, file: string | undefined): void {
  if (file !== undefined && (tokens !== "character" || vocabulary !== undefined)) {
    const other = vocabulary === undefined ? "tokens" : "vocabulary";
    throw new RangeError(`tokenizer: the file says what its tokens are; leave ${other} out`);
  }
  if (vocabulary === undefined) return;
  if (tokens === "character" || tokens === "byte")
    throw new RangeError(`vocabulary: tokens ${tokens} has the size that it has; it is an option of bpe and word`);
  if (tokens === "bpe" && vocabulary < 256)
    throw new RangeError(`vocabulary: bpe begins with the 256 bytes, expected at least 256 tokens, got ${vocabulary}`);
}
