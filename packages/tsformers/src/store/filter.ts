/** A value that a column is compared with. */
export type Scalar = string | number | boolean;

/** A comparison of a column, or of a value within a column of JSON: `length >= 1024`, `config.model.mixer.features = 16`. */
export type Condition = {
  /** A column, or the path of a value in one: "metrics.accuracy". */
  readonly column: string;
  readonly is: "=" | "!=" | "<" | "<=" | ">" | ">=";
  readonly value: Scalar | null;
};

/**
 * Which records are wanted, and in which order.
 *
 * @example store.list({ match: { task: "listops", mixer: ["softmax", "performer"] }, sort: "score", limit: 10 })
 */
export type Filter<R> = {
  /** Values that columns have; of a list, one of them. */
  readonly match?: { readonly [Column in keyof R]?: Wanted<R[Column]> };
  /** All must hold. */
  readonly where?: readonly Condition[];
  /**
   * A column or a path. `score` has the best first, whichever direction is better; others the smallest. Nulls come last.
   * Default: the newest first.
   */
  readonly sort?: string;
  /** The other way round. Default: false. */
  readonly reverse?: boolean;
  /** How many at most. Default: all. */
  readonly limit?: number;
};

type Wanted<T> = T extends Scalar | null ? T | readonly T[] : never;
