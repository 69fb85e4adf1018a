import type { Pattern } from "./pattern.ts";
import { expectWhole, span } from "./span.ts";

export type WindowOptions = {
  /** Visible positions before the query. */
  readonly before: number;
  /** Visible positions after the query; 0 when causal. */
  readonly after: number;
};

/**
 * A sliding window: a position sees itself and its neighbours.
 *
 * `S_i = {j : i − before ≤ j ≤ i + after}`
 *
 * @cost   O(n·(before + after + 1)) pairs
 * @source Beltagy, Peters & Cohan 2020, "Longformer", §3.1, arXiv:2004.05150, among many
 */
export function slidingWindow({ before, after }: WindowOptions): Pattern {
  expectWhole("window", "before", before);
  expectWhole("window", "after", after);
  return {
    name: `window (${before} before, ${after} after)`,
    keys: (query, length) => span(query - before, query + after + 1, length),
  };
}
