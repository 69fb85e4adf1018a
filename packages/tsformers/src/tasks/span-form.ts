import { NDArray } from "@tsformers/engine";
import { column, packed } from "./row-forms.ts";
import type { RowForm } from "./rows.ts";
import type { SpansBatch } from "./task.ts";

/** A question and its document before padding. */
export type SpanRow = {
  readonly tokens: readonly number[];
  /** The first and the last token of the answer. Absent: it is not in the row. */
  readonly target?: readonly [first: number, last: number] | undefined;
  /** A number for each token, equal for equal words, 0 for what is none. */
  readonly words: readonly number[];
  /** The words of each accepted answer, by the same numbers. */
  readonly answers: readonly (readonly number[])[];
};

/**
 * Rows whose answer is a span, each of which counts as one.
 *
 * @param most how many answers a row has, and how many words an answer
 */
export function spanForm(most: { readonly answers: number; readonly words: number }): RowForm<SpanRow, SpansBatch> {
  return {
    isOneAnswer: true,
    scored: () => 1,
    cut: (row) => row,
    pack: (rows, batchSize, length) => {
      const part = (of: (row: SpanRow) => readonly number[], dtype: "int32" | "float32") =>
        packed(rows.map(of), dtype, batchSize, length);
      const answers = packed(
        rows.map((row) => row.answers.flatMap((words) => [...words, ...zeros(most.words - words.length)])),
        "int32",
        batchSize,
        most.answers * most.words,
      );
      return {
        inputs: part(({ tokens }) => tokens, "int32"),
        mask: part(({ tokens }) => tokens.map(() => 1), "float32"),
        targets: packed(
          rows.map(({ target = [0, 0] }) => target),
          "int32",
          batchSize,
          2,
        ),
        found: column(
          rows.map(({ target }) => (target === undefined ? 0 : 1)),
          "float32",
          batchSize,
        ),
        weights: column(
          rows.map(() => 1),
          "float32",
          batchSize,
        ),
        words: part(({ words }) => words, "int32"),
        answers: new NDArray([batchSize, most.answers, most.words], "int32", answers.data),
      };
    },
  };
}

function zeros(count: number): number[] {
  return Array.from({ length: count }, () => 0);
}
