/** Ascending key positions as runs that neither touch nor overlap, flat: `[from, to, from, to, …]`, each `to` exclusive. */
export type Runs = readonly number[];

/**
 * Which key positions each query position may look at: S_i of the surveys, as a value.
 *
 * A pattern has four readers: the dense mask (the oracle), the block-sparse executor, the counter and the drawing. A new one is a function of a query's position.
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
