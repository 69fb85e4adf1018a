import { foldIn, permutation, type RandomKey, randomKey, splitKey } from "@tsformers/engine";
import type { Splits } from "./splits.ts";
import { checkExtents, type EvalSplit, type TaskView } from "./task.ts";

/** Where the rows of a task come from: they are made on the spot ({@link generatedRows}) or kept in memory ({@link storedRows}). */
export type RowSource<R> = {
  /** Row `index` of the batch of an update; a pure function of its arguments. */
  train(place: TrainPlace, length: number): R;
  /** Row `index` of a split, the same under every seed; undefined behind the last one. */
  eval(split: EvalSplit, index: number, length: number): R | undefined;
};

export type TrainPlace = { readonly step: number; readonly batchSize: number; readonly index: number };

/** How rows of one sort become a batch. */
export type RowForm<R, B> = {
  /** How much of an evaluation's limit a row takes up. */
  scored(row: R): number;
  /** Whether each row takes up one, whatever its length. */
  readonly isOneAnswer?: true;
  /** The row with only the first `count` of its scored places. */
  cut(row: R, count: number): R;
  /** Pads rows at their ends, and with rows that are not scored, to `[batchSize, length]`. */
  pack(rows: readonly R[], batchSize: number, length: number): B;
};

/** Default of the tokens scored in an evaluation of generated rows. */
export const usualLimit = 4096;

/** A view of rows that do not depend on each other. The last row of an evaluation is scored only up to the limit. */
export function rowsView<R, B>(options: {
  readonly name: string;
  /** Default T of training rows. */
  readonly length: number;
  readonly source: RowSource<R>;
  readonly form: RowForm<R, B>;
  /** Default of how much an evaluation scores: as a limit of its options, or all of so many rows. */
  readonly limit: number | { readonly rows: number };
}): TaskView<B> {
  const { name, length: usualLength, source, form, limit: usualLimit } = options;
  return {
    ...(form.isOneAnswer && { limitsRows: true }),
    trainBatch: (step, batchSize, length = usualLength) => {
      checkExtents(name, { batchSize, length });
      const rows = Array.from({ length: batchSize }, (_, index) => source.train({ step, batchSize, index }, length));
      return form.pack(rows, batchSize, length);
    },
    evalBatches: (split, { batchSize, length, limit = usualLimit }) => {
      const [most, mostRows] = typeof limit === "number" ? [limit, Infinity] : [Infinity, limit.rows];
      checkExtents(name, { batchSize, length, limit: Math.min(most, mostRows) });
      source.eval(split, 0, length); // so that a length that does not fit is reported here, not at the first batch
      return {
        *[Symbol.iterator]() {
          let left = most;
          for (let index = 0; left > 0 && index < mostRows; ) {
            const rows: R[] = [];
            for (; rows.length < batchSize && left > 0 && index < mostRows; index++) {
              const row = source.eval(split, index, length);
              if (row === undefined) break;
              rows.push(form.cut(row, left));
              left -= form.scored(row);
            }
            if (rows.length === 0) return;
            yield form.pack(rows, batchSize, length);
            if (rows.length < batchSize) return;
          }
        },
      };
    },
  };
}

/** Makes an example; a pure function of its arguments. */
export type MakeRow<R> = (key: RandomKey, length: number, purpose: "train" | "eval") => R;

/** Evaluation has a fixed seed, so that runs with different seeds can be compared. */
const evalSeed = -1;

/**
 * Rows that are generated: each has its own random key. The seed affects training rows only.
 *
 * @param options.trainingRows how many different training rows there are, gone through in another order in each epoch. Default: each row of
 *   training is a new one, and does not depend on the batch size
 */
export function generatedRows<R>(
  make: MakeRow<R>,
  { seed, trainingRows }: { readonly seed: number; readonly trainingRows?: number | undefined },
): RowSource<R> {
  const trainKey = randomKey(seed);
  const [keyOfOrder, keyOfRows] = splitKey(trainKey, 2);
  const ofEpochs = trainingRows === undefined ? undefined : epochs(keyOfOrder!, trainingRows);
  const keyAt = (place: TrainPlace): RandomKey =>
    ofEpochs === undefined ? foldIn(foldIn(trainKey, place.step), place.index) : foldIn(keyOfRows!, ofEpochs(place));
  return {
    train: (place, length) => make(keyAt(place), length, "train"),
    eval: (split, index, length) =>
      make(foldIn(foldIn(randomKey(evalSeed), split === "valid" ? 0 : 1), index), length, "eval"),
  };
}

/**
 * Rows that are kept in memory, gone through in another order in each epoch.
 *
 * @param options.row makes a row of at most `length` positions of an example; longer ones are shortened as the task says
 */
export function storedRows<Example, R>(options: {
  readonly seed: number;
  readonly splits: Splits<readonly Example[]>;
  row(example: Example, length: number): R;
}): RowSource<R> {
  const { seed, splits, row } = options;
  const order = epochs(randomKey(seed), splits.train.length);
  return {
    train: (place, length) => row(splits.train[order(place)]!, length),
    eval: (split, index, length) => {
      const example = splits[split][index];
      return example === undefined ? undefined : row(example, length);
    },
  };
}

/** Which of `count` examples stands where in training: each once in an epoch, in a new order each time. */
function epochs(key: RandomKey, count: number): (place: TrainPlace) => number {
  let known: { readonly epoch: number; readonly order: readonly number[] } | undefined;
  return ({ step, batchSize, index }) => {
    const position = step * batchSize + index;
    const epoch = Math.floor(position / count);
    if (known?.epoch !== epoch) known = { epoch, order: permutation(foldIn(key, epoch), count).toNumbers() };
    return known.order[position % count]!;
  };
}
