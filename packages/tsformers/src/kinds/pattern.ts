/** Sorted key positions as runs that neither touch nor overlap, flat: `[from, to, from, to, …]`, each `to` exclusive. */
export type Runs = readonly number[];

/**
 * Which key positions each query position may look at (S_i in the literature), as a value.
 *
 * A pattern has four readers: the dense mask (the oracle), the block-sparse executor, the counter and the drawing. A new pattern is a
 * function from a query position to runs of keys.
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

/** What each layer sees, the first one being 0. */
export type LayerPatterns = (layer: number) => Pattern;
