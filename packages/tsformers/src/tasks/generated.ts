import { foldIn, NDArray, type RandomKey, randomKey } from "@tsformers/engine";

import { type Batch, checkExtents, type PairBatch, type TaskView } from "./task.ts";

/** One example of a causal task before padding: `targets[t]` is scored where `weights[t]` is 1. */
export type Row = {
  readonly inputs: readonly number[];
  readonly targets: readonly number[];
  readonly weights: readonly number[];
};

/** One example of an encoder-decoder task. */
export type PairRow = Row & { readonly source: readonly number[] };

/** Makes an example; a pure function of its arguments. */
export type MakeRow<R> = (key: RandomKey, length: number, purpose: "train" | "eval") => R;

/** Default limit of the tokens scored in an evaluation of a generated task. */
const defaultLimit = 4096;

/** Evaluation has a fixed seed, so that runs with different seeds can be compared. */
const evalSeed = -1;

/**
 * A view whose examples are generated: example `row` of training step `s` and example `i` of a split each have their own random
 * key, so they do not depend on the batch size. The seed affects training examples only; evaluation is the same under every seed.
 * The last example of an evaluation is scored only up to the limit. Default of the limit: 4,096 tokens.
 */
export function generatedView<R extends Row, B>(options: {
  name: string;
  seed: number;
  length: number;
  row: MakeRow<R>;
  pack: (rows: readonly R[], batchSize: number, length: number) => B;
}): TaskView<B> {
  const { name, length: defaultLength, row, pack } = options;
  const trainKey = randomKey(options.seed);
  return {
    trainBatch: (step, batchSize, length = defaultLength) => {
      checkExtents(name, { batchSize, length });
      const key = foldIn(trainKey, step);
      const rows = Array.from({ length: batchSize }, (_, index) => row(foldIn(key, index), length, "train"));
      return pack(rows, batchSize, length);
    },
    evalBatches: (split, { batchSize, length, limit = defaultLimit }) => {
      checkExtents(name, { batchSize, length, limit });
      const key = foldIn(randomKey(evalSeed), split === "valid" ? 0 : 1);
      row(key, length, "eval"); // so that a length that does not fit is reported here, not at the first batch
      return {
        *[Symbol.iterator]() {
          for (let index = 0, left = limit; left > 0; ) {
            const rows: R[] = [];
            for (; rows.length < batchSize && left > 0; index++) {
              const made = row(foldIn(key, index), length, "eval");
              rows.push({ ...made, weights: scoreAtMost(made.weights, left) });
              left -= sum(made.weights);
            }
            yield pack(rows, batchSize, length);
          }
        },
      };
    },
  };
}

/** A row of tokens: inputs are all but the last, targets all but the first; scored where `scored` says. */
export function causalRow(tokens: readonly number[], scored: (index: number) => boolean): Row {
  return {
    inputs: tokens.slice(0, -1),
    targets: tokens.slice(1),
    weights: tokens.slice(1).map((_, t) => (scored(t + 1) ? 1 : 0)),
  };
}

/** Pads rows at their ends to [batchSize, length]. */
export function packRows(rows: readonly Row[], batchSize: number, length: number): Batch {
  const column = (name: keyof Row): readonly (readonly number[])[] => rows.map((row) => row[name]);
  return {
    inputs: pack(column("inputs"), "int32", batchSize, length),
    targets: pack(column("targets"), "int32", batchSize, length),
    weights: pack(column("weights"), "float32", batchSize, length),
  };
}

export function packPairs(rows: readonly PairRow[], batchSize: number, length: number): PairBatch {
  return {
    ...packRows(rows, batchSize, length),
    source: pack(
      rows.map(({ source }) => source),
      "int32",
      batchSize,
      length,
    ),
    sourceWeights: pack(
      rows.map(({ source }) => source.map(() => 1)),
      "float32",
      batchSize,
      length,
    ),
  };
}

function pack(
  rows: readonly (readonly number[])[],
  dtype: "int32" | "float32",
  batchSize: number,
  length: number,
): NDArray {
  const size = batchSize * length;
  const data = dtype === "int32" ? new Int32Array(size) : new Float32Array(size);
  rows.forEach((row, index) => {
    data.set(row, index * length);
  });
  return new NDArray([batchSize, length], dtype, data);
}

function scoreAtMost(weights: readonly number[], count: number): readonly number[] {
  let left = count;
  return weights.map((weight) => (weight > 0 && left-- > 0 ? weight : 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
