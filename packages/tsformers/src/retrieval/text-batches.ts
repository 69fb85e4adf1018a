import { NDArray } from "@tsformers/engine";
import { segmentsOf, tokensToScore } from "../tasks/segments.ts";
import type { EvalSplit, TextSource } from "../tasks/task.ts";

export type TextReading = {
  readonly split: "train" | EvalSplit;
  readonly batchSize: number;
  /** T of a row. */
  readonly length: number;
  /** Whether row b goes on where row b of the batch before ended, for models with a memory; no row then spans two documents. */
  readonly continues: boolean;
  /** Tokens of a row that are read for themselves; those before them are context. Not together with `continues`. Default: all. */
  readonly stride?: number;
  /** How many tokens are read, from the beginning of the split. Default: all. */
  readonly limit?: number;
};

/** Positions of a row that follow one another, each to be predicted once. */
export type Stretch = {
  readonly row: number;
  /** Of the first of them. */
  readonly column: number;
  readonly count: number;
  /** Number of the first of them among all predicted positions of the split, in the order of the text. */
  readonly entry: number;
  /** Where the first of them stands in the split. */
  readonly place: number;
};

/**
 * Rows of a text for reading it once, in order.
 *
 * @shape inputs, targets int32 [B, T]; fresh float32 [B], 1 where a document begins, only where rows continue
 */
export type TextBatch = {
  readonly inputs: NDArray;
  readonly targets: NDArray;
  readonly fresh?: NDArray;
  readonly stretches: readonly Stretch[];
};

/**
 * Reads a split once: each of its tokens but the first of a document is a target at one position. Windows and segments are cut as evaluation cuts
 * them.
 *
 * @returns the number of predicted positions, and batches of one shape
 * @throws RangeError when a number does not fit, or the split is too short
 */
export function textBatches(
  { splits, documents }: TextSource,
  { split, batchSize, length, continues, stride = length, limit }: TextReading,
): { readonly entries: number; readonly batches: number; [Symbol.iterator](): Generator<TextBatch> } {
  const tokens = splits[split];
  const starts = continues ? (documents?.[split] ?? [0]) : [0];
  if (!(Number.isSafeInteger(stride) && stride >= 1 && stride <= length))
    throw new RangeError(`text: stride must be an integer from 1 to the length ${length}, got ${stride}`);
  if (continues && stride !== length)
    throw new RangeError("text: this model remembers the segments before, which do not overlap; leave stride out");
  if (tokens.length < 2)
    throw new RangeError(`text: the ${split} split has ${tokens.length} tokens, expected 2 or more`);
  const read = Math.min(limit ?? Number.POSITIVE_INFINITY, tokens.length - 1);
  const end = tokensToScore(read, tokens.length, starts);
  const within = starts.filter((start) => start < end);
  const segments = segmentsOf(end, stride, within);
  const batches = Math.ceil(segments.count / batchSize);
  return {
    entries: end - within.length,
    batches,
    *[Symbol.iterator]() {
      for (let j = 0; j < batches; j++) {
        const shape = [batchSize, length];
        const [inputs, targets] = [new Int32Array(batchSize * length), new Int32Array(batchSize * length)];
        const fresh = new Float32Array(batchSize);
        const stretches: Stretch[] = [];
        for (let row = 0; row < batchSize; row++) {
          const index = continues ? row * batches + j : j * batchSize + row;
          const segment = index < segments.count ? segments.at(index) : undefined;
          fresh[row] = segment === undefined || segment.isFirst || j === 0 ? 1 : 0;
          if (segment === undefined) continue;
          const from = Math.max(segment.start - (length - stride), 0);
          const own = tokens.read(from, segment.end + 1);
          for (let t = 0; t < segment.end - from; t++) {
            inputs[row * length + t] = own[t]!;
            targets[row * length + t] = own[t + 1]!;
          }
          // The last token of each document before is no entry.
          const entry = segment.start - (countAtMost(within, segment.start) - 1);
          stretches.push({
            row,
            column: segment.start - from,
            count: segment.end - segment.start,
            entry,
            place: segment.start,
          });
        }
        yield {
          inputs: new NDArray(shape, "int32", inputs),
          targets: new NDArray(shape, "int32", targets),
          ...(continues && { fresh: new NDArray([batchSize], "float32", fresh) }),
          stretches,
        };
      }
    },
  };
}

/** How many of ascending numbers are at most `value`. */
export function countAtMost(numbers: readonly number[], value: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
