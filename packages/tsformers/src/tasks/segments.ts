import { foldIn, integers, NDArray, type RandomKey } from "@tsformers/engine";
import { present } from "../schema/present.ts";
import type { Splits } from "./splits.ts";
import { type Batch, checkExtents, type EvalSplit, type TaskView } from "./task.ts";

/** The tokens that one row reads in one batch: `length` of them or, at the end of a document, fewer. */
export type Segment = { readonly start: number; readonly end: number; readonly isFirst: boolean };

/** The segments of a split in order; no segment spans two documents. */
export type Segments = { readonly count: number; at(index: number): Segment };

/**
 * Cuts a split into segments.
 *
 * @param tokens number of tokens; the last one is a target only
 * @param starts where documents begin, ascending, the first one at 0
 * @param shift how many tokens are left out at the beginning of each document, fewer where less than a segment would be left
 */
export function segmentsOf(tokens: number, length: number, starts: readonly number[] = [0], shift = 0): Segments {
  const documents = starts.map((start, i) => {
    // The token after the document's last one belongs to another document, or does not exist.
    const last = Math.min(starts[i + 1] ?? tokens, tokens) - 1;
    const from = start + Math.min(shift, Math.max(last - start - length, 0));
    return { from, predicted: last - from };
  });
  const counts = documents.map(({ predicted }) => Math.ceil(predicted / length));
  const before: number[] = [];
  let count = 0;
  for (const own of counts) {
    before.push(count);
    count += own;
  }
  return {
    count,
    at: (index) => {
      const document = lastAtMost(before, index, counts);
      const { from, predicted } = documents[document]!;
      const place = (index - before[document]!) * length;
      const start = from + place;
      return { start, end: start + Math.min(length, predicted - place), isFirst: place === 0 };
    },
  };
}

/** How many of the first tokens it takes to predict `scored` of them: the first one of a document is not predicted. */
export function tokensToScore(scored: number, tokens: number, starts: readonly number[] = [0]): number {
  let count = scored;
  for (const start of starts) {
    if (start >= count) break;
    count++;
  }
  return Math.min(count, tokens);
}

/** The last document that has segments and whose segments begin at or before an index. */
function lastAtMost(before: readonly number[], index: number, counts: readonly number[]): number {
  let [low, high] = [0, before.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (before[middle]! <= index) low = middle;
    else high = middle - 1;
  }
  while (counts[low] === 0) low--;
  return low;
}

export type SegmentedSplit = {
  readonly length: number;
  read(start: number, end: number): ArrayLike<number>;
};

/**
 * Rows that continue from batch to batch: the segments of a split are cut into equal runs, and row b reads run b. `fresh` marks rows
 * in which a document begins; padding at the end of a document has weight 0.
 *
 * In training each pass over the split begins at another offset in each document, so that segments are cut at different tokens.
 * Evaluation reads the split once; the same tokens are scored at each length.
 *
 * @param options.documents where the documents of each split begin. Default: each split is one document
 * @source Dai et al. 2019, "Transformer-XL", §3.2, arXiv:1901.02860
 */
export function segmentsView(options: {
  readonly name: string;
  readonly splits: Splits<SegmentedSplit>;
  readonly documents?: Splits<readonly number[]> | undefined;
  readonly key: RandomKey;
  readonly length: number;
}): TaskView<Batch> {
  const { name, splits, documents, key, length: standard } = options;
  const runs = (split: "train" | EvalSplit, tokens: number, length: number, shift = 0) =>
    segmentsOf(
      tokens,
      length,
      documents?.[split].filter((start) => start < tokens),
      shift,
    );
  const { train } = splits;
  const ofTrain = (length: number, shift: number): Segments => runs("train", train.length, length, shift);
  const [shortest, ofPass] = [keepLast(ofTrain), keepLast(ofTrain)];
  return {
    trainBatch: (step, batchSize, length = standard) => {
      checkExtents(name, { batchSize, length });
      // Shifting by up to length − 1 tokens can cost a segment.
      const least = shortest(length, length - 1).count;
      const perRow = Math.floor(least / batchSize);
      if (perRow < 1) throw tooShort(name, "train", train.length, batchSize, length);
      const [pass, column] = [Math.floor((step - 1) / perRow), (step - 1) % perRow];
      const shift = integers(foldIn(key, pass), [], { high: length }).item();
      const segments = ofPass(length, shift);
      return packed(train, length, batchSize, (row) => {
        const segment = segments.at(row * perRow + column);
        return column === 0 ? { ...segment, isFirst: true } : segment;
      });
    },
    evalBatches: (split, { batchSize, length, limit }) => {
      checkExtents(name, { batchSize, length, ...present({ limit }) });
      const tokens = splits[split];
      const scored = Math.min(limit ?? Number.POSITIVE_INFINITY, tokens.length - 1);
      if (limit !== undefined && limit < length) {
        throw new RangeError(
          `${name}: limit must be at least the length to fill a segment, got ${limit} at length ${length}`,
        );
      }
      if (scored < length) throw tooShort(name, split, tokens.length, 1, length);
      const segments = runs(split, tokensToScore(scored, tokens.length, documents?.[split]), length);
      const perRow = Math.ceil(segments.count / batchSize);
      return {
        *[Symbol.iterator]() {
          for (let column = 0; column < perRow; column++) {
            yield packed(tokens, length, batchSize, (row) => {
              const index = row * perRow + column;
              if (index >= segments.count) return undefined;
              const segment = segments.at(index);
              return column === 0 ? { ...segment, isFirst: true } : segment;
            });
          }
        },
      };
    },
  };
}

/** Keeps the last result: the next step mostly needs it again, and a split may have many documents. */
function keepLast(make: (length: number, shift: number) => Segments): typeof make {
  let last: { readonly length: number; readonly shift: number; readonly made: Segments } | undefined;
  return (length, shift) => {
    if (last?.length !== length || last.shift !== shift) last = { length, shift, made: make(length, shift) };
    return last.made;
  };
}

function tooShort(name: string, split: string, tokens: number, rows: number, length: number): RangeError {
  return new RangeError(
    `${name}: ${rows} ${rows === 1 ? "row" : "rows"} of segments of length ${length} need more than the ${tokens} tokens of the ${split} split; use a shorter length, fewer rows or a longer text`,
  );
}

function packed(
  tokens: SegmentedSplit,
  length: number,
  batchSize: number,
  segmentOf: (row: number) => Segment | undefined,
): Batch {
  const shape = [batchSize, length];
  const [inputs, targets] = [new Int32Array(batchSize * length), new Int32Array(batchSize * length)];
  const [weights, fresh] = [new Float32Array(batchSize * length), new Float32Array(batchSize)];
  for (let row = 0; row < batchSize; row++) {
    const segment = segmentOf(row);
    fresh[row] = segment === undefined || segment.isFirst ? 1 : 0;
    if (segment === undefined) continue;
    const own = tokens.read(segment.start, segment.end + 1);
    const count = segment.end - segment.start;
    for (let t = 0; t < count; t++) {
      inputs[row * length + t] = own[t]!;
      targets[row * length + t] = own[t + 1]!;
      weights[row * length + t] = 1;
    }
  }
  return {
    inputs: new NDArray(shape, "int32", inputs),
    targets: new NDArray(shape, "int32", targets),
    weights: new NDArray(shape, "float32", weights),
    fresh: new NDArray([batchSize], "float32", fresh),
  };
}
