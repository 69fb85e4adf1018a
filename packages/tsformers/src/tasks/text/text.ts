import { foldIn, integers, NDArray, type RandomKey, randomKey } from "@tsformers/engine";
import * as z from "zod";
import { crc32c } from "../../io/crc32c.ts";
import { present } from "../../schema/present.ts";
import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import { maskedView } from "../masked.ts";
import { bitsPerCharacter, loss } from "../metric.ts";
import { segmentsView } from "../segments.ts";
import { type Batch, checkExtents, type EvalSplit, type Task, type TaskView, type TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { grammarText } from "./grammar.ts";
import type { TokenizedText, Tokens } from "./tokenized-text.ts";

/** A task with all views of one text: windows that begin anywhere, rows that continue from batch to batch, windows with hidden tokens. */
export type TextTask = Task<Required<Pick<TaskViews, "next" | "segments" | "masked">>>;

const defaults = { length: 128 };

/**
 * Language modelling of a text: predict each next token.
 *
 * The text is split by position: the first 90 % for training, then 5 % valid, 5 % test. Training rows are windows that begin
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
      evaluationCharacters: countCharacters(pieces.valid) + countCharacters(pieces.test),
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
  const { splits, sizeBytes, sum, documents } = tokenized;
  const { train, valid, test } = splits;
  const trainKey = foldIn(randomKey(seed), 0);

  const next: TaskView<Batch> = {
    trainBatch: (step, batchSize, length = defaultLength) => {
      checkExtents("text", { batchSize, length });
      requireWindow("train", train, length);
      const starts = randomStarts(foldIn(trainKey, step), batchSize, train.length - length);
      return windows(train, length, starts, train.length);
    },

    evalBatches: (split, { batchSize, length, limit }) => {
      checkExtents("text", { batchSize, length, ...present({ limit }) });
      const tokens = splits[split];
      requireWindow(split, tokens, length);
      const scored = Math.min(limit ?? Number.POSITIVE_INFINITY, tokens.length - 1);
      if (scored < length) {
        throw new RangeError(
          `text: limit must be at least the length to fill a window, got ${limit} at length ${length}`,
        );
      }
      const batches = Math.ceil(Math.ceil(scored / length) / batchSize);
      return {
        *[Symbol.iterator]() {
          for (let j = 0; j < batches; j++) {
            const starts = Array.from({ length: batchSize }, (_, b) => (j * batchSize + b) * length);
            yield windows(tokens, length, starts, scored + 1);
          }
        },
      };
    },
  };
  return {
    name: "text",
    vocabularySize: tokenizer.vocabularySize,
    length: defaultLength,
    metrics: [loss, bitsPerCharacter((valid.length + test.length) / tokenized.evaluationCharacters)],
    fingerprint: `text ${tokenizer.config.kind} bytes=${sizeBytes} crc32c=${sum.toString(16)} seed=${seed}`,
    tokenizer,
    views: {
      next,
      segments: segmentsView({
        name: "text",
        splits,
        documents,
        key: foldIn(randomKey(seed), 1),
        length: defaultLength,
      }),
      masked: maskedView(next, { ...tokenizer, seed }),
    },
  };
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

/** Rows that begin at the given starts; positions at or beyond `end` get token 0 and weight 0. */
function windows(tokens: Tokens, length: number, starts: readonly number[], end: number): Batch {
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
    weights.fill(1, row * length, row * length + count);
  });
  return {
    inputs: new NDArray(shape, "int32", inputs),
    targets: new NDArray(shape, "int32", targets),
    weights: new NDArray(shape, "float32", weights),
  };
}

function splitText(text: string): Record<"train" | EvalSplit, string> {
  const [a, b] = splitEnds(text.length).map((end) => characterBoundary(text, end));
  const pieces = { train: text.slice(0, a), valid: text.slice(a, b), test: text.slice(b) };
  requireSplits(
    "text",
    Object.values(pieces).map(({ length }) => length),
  );
  return pieces;
}

/** Ends of the training and the validation split of a text of `units` UTF-16 units; see `characterBoundary`. */
export function splitEnds(units: number): [train: number, valid: number] {
  return [Math.floor(units * 0.9), Math.floor(units * 0.95)];
}

/** The index, or the one before if it falls between the two halves of a surrogate pair. */
export function characterBoundary(text: string, index: number): number {
  return (text.codePointAt(index - 1) ?? 0) > 0xffff ? index - 1 : index;
}

/** @throws RangeError when a split has fewer than two UTF-16 units */
export function requireSplits(source: string, units: readonly number[]): void {
  if (units.every((count) => count >= 2)) return;
  const all = units.reduce((sum, count) => sum + count, 0);
  throw new RangeError(`${source}: expected at least 40 characters to split 90 / 5 / 5, got ${all}`);
}

export function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 1; i < text.length; i++) {
    const isPair = (text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800;
    if (isPair) count--;
  }
  return count;
}

function requireWindow(split: string, tokens: Tokens, length: number): void {
  if (tokens.length > length) return;
  throw new RangeError(
    `text: a window of length ${length} needs ${length + 1} tokens, the ${split} split has ${tokens.length}; use a shorter length or a longer text`,
  );
}

export type TextSettings = {
  readonly data?: string;
  readonly tokens?: "character" | "byte";
  readonly extensions?: readonly string[];
  readonly length?: number;
  readonly seed?: number;
};

export const textEntry: TaskEntry<"text", TextSettings> = /* @__PURE__ */ taskEntry({
  name: "text",
  title: "Text",
  category: "data",
  summary: "predict the next character or byte of any text",
  options: () =>
    z.strictObject({
      data: z
        .string()
        .min(1, "expected the path of a file or folder")
        .optional()
        .describe("a text file, or a folder of them, each one a document. Default: text of a built-in grammar"),
      tokens: z.enum(["character", "byte"]).default("character").describe("what one token is"),
      extensions: z
        .array(z.string().regex(/^(\.\S+|\*)$/, 'an extension like ".txt", or "*" for every text file'))
        .min(1)
        .default([".txt", ".md"])
        .describe('which files of a folder are read; "*" is every text file'),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, tokens, extensions, ...rest }, context) => {
    if (data !== undefined) {
      const { textDataTask } = await import("#files");
      return textDataTask({ data, tokens, extensions, ...rest }, context);
    }
    const made = tokens === "byte" ? byteTokenizer : characterTokenizer;
    return textTask({ text: grammarText(), tokenizer: (text) => context.tokenizer ?? made(text), ...rest });
  },
});
