/** An eighth of the length, from 1 to `most`. */
export function eighthOf(length: number, most: number): number {
  return Math.max(1, Math.min(most, Math.round(length / 8)));
}

/** What makes l + n/l least: √n, at least 1. */
export function rootOf(length: number): number {
  return Math.max(1, Math.round(Math.sqrt(length)));
}

/**
 * Visible positions after the query. Default: none where causal, otherwise as many as before.
 *
 * @throws RangeError for positions after a causal query
 */
export function positionsAfter(name: string, after: number | undefined, before: number, causal: boolean): number {
  if (!causal) return after ?? before;
  if (after !== undefined && after > 0)
    throw new RangeError(`${name}: causal positions see nothing after them, got after ${after}`);
  return 0;
}
