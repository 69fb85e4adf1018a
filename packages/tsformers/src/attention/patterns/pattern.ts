import { fromNumbers, type NDArray } from "@tsformers/engine";

/** Sorted key positions as runs that neither touch nor overlap, flat: `[from, to, from, to, …]`, each `to` exclusive. */
export type Runs = readonly number[];

/**
 * Which key positions each query position may look at (S_i in the literature), as a value.
 *
 * A pattern has four readers: the dense mask (the oracle, here), the block-sparse executor (`executor.ts`), the counter
 * (`count.ts`) and the drawing (`draw.ts`). A new pattern is a function from a query position to runs of keys.
 */
export type Pattern = {
  readonly name: string;
  /** The keys that position `query` sees in a sequence of `length`, possibly none; for patterns per head, those that any head sees. */
  keys(query: number, length: number): Runs;
  /** Patterns of the heads, where they differ: head h of a mixer has pattern `h mod heads.length`. */
  readonly heads?: readonly Pattern[];
  /**
   * A permutation that brings positions seen together next to one another (a column of an image, every l-th token). Changes only the
   * speed. Absent: sequence order.
   */
  readonly order?: (length: number) => Int32Array;
  /** Disjoint patterns whose union is this one, where parts need different orders. */
  readonly parts?: readonly Pattern[];
};

/** Every position sees every position. */
export const full: Pattern = { name: "full", keys: (_, length) => [0, length] };

/** A position sees itself and what came before. */
export const causal: Pattern = { name: "causal", keys: (query, length) => [0, Math.min(query + 1, length)] };

/** The patterns of the heads; a single one where all heads have the same. */
export function headsOf(pattern: Pattern): readonly Pattern[] {
  return pattern.heads ?? [pattern];
}

/** The pattern as a dense mask: bool [heads that differ, queries, keys], the oracle of the other readers. */
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
