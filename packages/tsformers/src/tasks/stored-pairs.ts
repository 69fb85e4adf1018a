import { causalRow, nextForm, pairsForm } from "./row-forms.ts";
import { rowsView, storedRows } from "./rows.ts";
import type { Splits } from "./splits.ts";
import type { TaskViews } from "./task.ts";

/** A sequence and what is to be written for it, without tokens that begin or end them. */
export type TokenPair = { readonly source: readonly number[]; readonly target: readonly number[] };

/** The whole split. */
export const everything: number = Number.MAX_SAFE_INTEGER;

/**
 * Pairs that are kept in memory, each view with rows of one length or more:
 *
 * - `pairs`: the source is read; the target is written between `start` and `end`.
 * - `next`: `source start target end`, of which target and end are scored.
 *
 * Rows are never shortened: a length that is too short for the longest one is an error.
 *
 * @param options.start begins a target, and separates it from its source in a row
 * @param options.end ends a target: a model has to say where it stops
 */
export function storedPairs(options: {
  readonly name: string;
  readonly length: number;
  readonly seed: number;
  readonly start: number;
  readonly end: number;
  readonly splits: Splits<readonly TokenPair[]>;
}): Required<Pick<TaskViews, "pairs" | "next">> {
  const { name, length, seed, start, end, splits } = options;
  const longest = (sizeOf: (pair: TokenPair) => number): number =>
    Object.values(splits)
      .flat()
      .reduce((most, pair) => Math.max(most, sizeOf(pair)), 0);
  const rows = <R>(most: number, row: (pair: TokenPair) => R) =>
    storedRows({
      seed,
      splits,
      row: (pair, rowLength) => {
        if (rowLength >= most) return row(pair);
        throw new RangeError(`${name}: rows have up to ${most} positions, which do not fit a length of ${rowLength}`);
      },
    });
  return {
    pairs: rowsView({
      name,
      length,
      limit: everything,
      form: pairsForm,
      source: rows(
        longest(({ source, target }) => Math.max(source.length, target.length + 1)),
        ({ source, target }) => ({ source, ...causalRow([start, ...target, end], () => true) }),
      ),
    }),
    next: rowsView({
      name,
      length,
      limit: everything,
      form: nextForm,
      source: rows(
        longest(({ source, target }) => source.length + target.length + 1),
        ({ source, target }) => causalRow([...source, start, ...target, end], (index) => index > source.length),
      ),
    }),
  };
}
