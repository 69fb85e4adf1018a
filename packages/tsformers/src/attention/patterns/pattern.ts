import { fromNumbers, type NDArray } from "@tsformers/engine";

/** Ascending key positions as runs that neither touch nor overlap, flat: `[from, to, from, to, …]`, each `to` exclusive. */
export type Runs = readonly number[];

/**
 * Which key positions each query position may look at: S_i of the surveys, as a value.
 *
 * A pattern has four readers: the dense mask (the oracle, here), the block-sparse executor (`executor.ts`), the counter
 * (`count.ts`) and the drawing (`draw.ts`). A new one is a function of a query's position.
 */
export type Pattern = {
  readonly name: string;
  /** What position `query` sees in a sequence of `length`, which may be nothing; of patterns per head, what any head sees. */
  keys(query: number, length: number): Runs;
  /** The patterns of the heads where those differ: head h of a mixer sees what pattern `h mod heads.length` shows. */
  readonly heads?: readonly Pattern[];
  /**
   * Positions rearranged so that what is seen together lies together (a column of an image, every l-th token). Changes nothing
   * but speed. Absent: as they come.
   */
  readonly order?: (length: number) => Int32Array;
  /** Patterns that exclude each other and together are this one, for those that lie together in different orders. */
  readonly parts?: readonly Pattern[];
};

/** Every position sees every position. */
export const full: Pattern = { name: "full", keys: (_, length) => [0, length] };

/** A position sees itself and what came before. */
export const causal: Pattern = { name: "causal", keys: (query, length) => [0, Math.min(query + 1, length)] };

/** The pattern of each head: one where all heads see alike. */
export function headsOf(pattern: Pattern): readonly Pattern[] {
  return pattern.heads ?? [pattern];
}

/** The pattern written out: bool [heads that differ, queries, keys], the oracle of every other reader. */
export function denseMask(pattern: Pattern, queries: number, keys: number = queries): NDArray {
  const heads = headsOf(pattern);
  const cells = new Uint8Array(heads.length * queries * keys);
  heads.forEach((own, head) => {
    for (let query = 0; query < queries; query++) {
      const runs = own.keys(query, keys);
      const row = (head * queries + query) * keys;
      for (let i = 0; i < runs.length; i += 2) cells.fill(1, row + runs[i]!, row + Math.min(runs[i + 1]!, keys));
    }
  });
  return fromNumbers(cells, [heads.length, queries, keys], "bool");
}
