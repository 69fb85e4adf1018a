import { NDArray } from "@tsformers/engine";
import type { RowForm } from "./rows.ts";
import type { Batch, LabelledBatch, MatchedBatch, PairBatch } from "./task.ts";

/** One example before padding: `targets[t]` is scored where `weights[t]` is 1. */
export type Row = {
  readonly inputs: readonly number[];
  readonly targets: readonly number[];
  readonly weights: readonly number[];
};

/** One example of an encoder-decoder task. */
export type PairRow = Row & { readonly source: readonly number[] };

/** Tokens with a class. */
export type LabelledRow = { readonly tokens: readonly number[]; readonly label: number };

/** Two rows of tokens with a class for both. */
export type MatchedRow = LabelledRow & { readonly others: readonly number[] };

/** A row of tokens: inputs are all but the last, targets all but the first; scored where `scored` says. */
export function causalRow(tokens: readonly number[], scored: (index: number) => boolean): Row {
  return {
    inputs: tokens.slice(0, -1),
    targets: tokens.slice(1),
    weights: tokens.slice(1).map((_, t) => (scored(t + 1) ? 1 : 0)),
  };
}

/** Rows whose limit counts scored positions. */
export function scoredPositions<R extends Row, B>(pack: RowForm<R, B>["pack"]): RowForm<R, B> {
  return {
    scored: ({ weights }) => weights.reduce((total, weight) => total + weight, 0),
    cut: (row, count) => ({ ...row, weights: scoreAtMost(row.weights, count) }),
    pack,
  };
}

export const nextForm: RowForm<Row, Batch> = scoredPositions(packRows);
export const pairsForm: RowForm<PairRow, PairBatch> = scoredPositions((rows, batchSize, length) => ({
  ...packRows(rows, batchSize, length),
  source: packed(
    rows.map(({ source }) => source),
    "int32",
    batchSize,
    length,
  ),
  sourceWeights: packed(
    rows.map(({ source }) => source.map(() => 1)),
    "float32",
    batchSize,
    length,
  ),
}));

/** Rows with a class, each of which counts as one. */
export const labelledForm: RowForm<LabelledRow, LabelledBatch> = {
  isOneAnswer: true,
  scored: () => 1,
  cut: (row) => row,
  pack: (rows, batchSize, length) => {
    const tokens = rows.map((row) => row.tokens);
    return {
      inputs: packed(tokens, "int32", batchSize, length),
      mask: maskOf(tokens, batchSize, length),
      labels: column(
        rows.map(({ label }) => label),
        "int32",
        batchSize,
      ),
      weights: column(
        rows.map(() => 1),
        "float32",
        batchSize,
      ),
    };
  },
};

/** Pairs of rows with a class, each of which counts as one. */
export const matchedForm: RowForm<MatchedRow, MatchedBatch> = {
  isOneAnswer: true,
  scored: () => 1,
  cut: (row) => row,
  pack: (rows, batchSize, length) => {
    const others = rows.map((row) => row.others);
    return {
      ...labelledForm.pack(rows, batchSize, length),
      others: packed(others, "int32", batchSize, length),
      othersMask: maskOf(others, batchSize, length),
    };
  },
};

/** 1 at the tokens of rows, 0 at padding, float32 [batchSize, length]. */
function maskOf(rows: readonly (readonly number[])[], batchSize: number, length: number): NDArray {
  return packed(
    rows.map((row) => row.map(() => 1)),
    "float32",
    batchSize,
    length,
  );
}

export function packRows(rows: readonly Row[], batchSize: number, length: number): Batch {
  const part = (name: keyof Row): readonly (readonly number[])[] => rows.map((row) => row[name]);
  return {
    inputs: packed(part("inputs"), "int32", batchSize, length),
    targets: packed(part("targets"), "int32", batchSize, length),
    weights: packed(part("weights"), "float32", batchSize, length),
  };
}

/** Rows of at most `length` numbers as an array [batchSize, length], filled up with 0. */
export function packed(
  rows: readonly (readonly number[])[],
  dtype: "int32" | "float32",
  batchSize: number,
  length: number,
): NDArray {
  const data = filled(dtype, batchSize * length);
  rows.forEach((row, index) => {
    if (row.length > length) throw new Error(`a row of ${row.length} positions does not fit a length of ${length}`);
    data.set(row, index * length);
  });
  return new NDArray([batchSize, length], dtype, data);
}

/** A number for each row as an array [batchSize], filled up with 0. */
export function column(values: readonly number[], dtype: "int32" | "float32", batchSize: number): NDArray {
  const data = filled(dtype, batchSize);
  data.set(values);
  return new NDArray([batchSize], dtype, data);
}

function filled(dtype: "int32" | "float32", size: number): Int32Array | Float32Array {
  return dtype === "int32" ? new Int32Array(size) : new Float32Array(size);
}

function scoreAtMost(weights: readonly number[], count: number): readonly number[] {
  let left = count;
  return weights.map((weight) => (weight > 0 && left-- > 0 ? weight : 0));
}
