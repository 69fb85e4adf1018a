import { foldIn, integers, NDArray, randomKey } from "@tsformers/engine";

import { crc32c } from "../io/crc32c.ts";
import { bitsPerCharacter, loss } from "./metric.ts";
import { type Batch, checkExtents, type EvalSplit, type Task } from "./task.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Language modelling of a text: predict each next token.
 *
 * The text is split by position: the first 90 % train, then 5 % valid, 5 % test. Training rows are windows that begin
 * anywhere in the training split. Evaluation cuts a split into windows that follow each other: row `b` of one batch goes
 * on in row `b` of the next, so that models with a memory can carry it. At each length the same tokens are scored,
 * tokens 1 … `limit` of the split, by default all of it.
 *
 * @param options.tokenizer makes the tokenizer from the training split, such as `characterTokenizer`
 * @param options.length default 128
 * @param options.seed default 0
 * @throws Error when the text is too short to be split; RangeError when a split is shorter than a window
 */
export function textTask(options: {
  text: string;
  tokenizer: (trainText: string) => Tokenizer;
  length?: number;
  seed?: number;
}): Task {
  const { text, length: defaultLength = 128, seed = 0 } = options;
  const pieces = splitText(text);
  const tokenizer = options.tokenizer(pieces.train);
  const train = tokenizer.encode(pieces.train);
  const evaluation = { valid: tokenizer.encode(pieces.valid), test: tokenizer.encode(pieces.test) };
  const trainKey = foldIn(randomKey(seed), 0);
  const characters = countCharacters(pieces.valid) + countCharacters(pieces.test);
  const bytes = new TextEncoder().encode(text);

  return {
    name: "text",
    vocabularySize: tokenizer.vocabularySize,
    length: defaultLength,
    metrics: [loss, bitsPerCharacter((evaluation.valid.length + evaluation.test.length) / characters)],
    fingerprint: `text ${tokenizer.config.kind} bytes=${bytes.length} crc32c=${crc32c(bytes).toString(16)} seed=${seed}`,
    tokenizer,

    trainBatch: (step, batchSize, length = defaultLength) => {
      checkExtents("text", { batchSize, length });
      requireWindow("train", train, length);
      const starts = integers(foldIn(trainKey, step), [batchSize], { high: train.length - length }).toNumbers();
      return windows(train, length, starts, train.length);
    },

    evalBatches: (split, { batchSize, length, limit }) => {
      checkExtents("text", { batchSize, length, ...(limit !== undefined && { limit }) });
      const tokens = evaluation[split];
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
            const starts = Array.from({ length: batchSize }, (_, b) => (b * batches + j) * length);
            yield windows(tokens, length, starts, scored + 1);
          }
        },
      };
    },
  };
}

/** Rows that begin at each start; what lies at or beyond `end` is filled with token 0 and not scored. */
function windows(tokens: Int32Array, length: number, starts: readonly number[], end: number): Batch {
  const shape = [starts.length, length];
  const inputs = new Int32Array(starts.length * length);
  const targets = new Int32Array(starts.length * length);
  const weights = new Float32Array(starts.length * length);
  starts.forEach((start, row) => {
    const count = Math.min(Math.max(end - 1 - start, 0), length);
    inputs.set(tokens.subarray(start, start + count), row * length);
    targets.set(tokens.subarray(start + 1, start + 1 + count), row * length);
    weights.fill(1, row * length, row * length + count);
  });
  return {
    inputs: new NDArray(shape, "int32", inputs),
    targets: new NDArray(shape, "int32", targets),
    weights: new NDArray(shape, "float32", weights),
  };
}

function splitText(text: string): Record<"train" | EvalSplit, string> {
  const [a, b] = [0.9, 0.95].map((share) => characterBoundary(text, Math.floor(text.length * share)));
  const pieces = { train: text.slice(0, a), valid: text.slice(a, b), test: text.slice(b) };
  if (pieces.train.length < 2 || pieces.valid.length < 2 || pieces.test.length < 2) {
    throw new Error(`text: expected at least 40 characters to split 90 / 5 / 5, got ${text.length}`);
  }
  return pieces;
}

/** The index, or the one before when it falls between the two halves of a surrogate pair. */
function characterBoundary(text: string, index: number): number {
  return (text.codePointAt(index - 1) ?? 0) > 0xffff ? index - 1 : index;
}

function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function requireWindow(split: string, tokens: Int32Array, length: number): void {
  if (tokens.length > length) return;
  throw new RangeError(
    `text: a window of length ${length} needs ${length + 1} tokens, the ${split} split has ${tokens.length}; use a shorter length or a longer text`,
  );
}
