import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { expectWhole, span } from "./span.ts";
import { eighthOf, positionsAfter } from "./usual-sizes.ts";

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

export type WindowSettings = { readonly before?: number; readonly after?: number };

export const windowEntry: PatternEntry<"window", WindowSettings> = /* @__PURE__ */ patternEntry({
  name: "window",
  title: "Sliding window",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "a sliding window: every position sees its neighbours",
  formula: "S_i = {j : i − before ≤ j ≤ i + after}",
  cost: "n·(before + after + 1) pairs",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      before: positionCount(0).optional().describe("positions back. Default: an eighth of the length, at most 256"),
      after: positionCount(0)
        .optional()
        .describe("positions ahead. Default: 0 when causal, otherwise as many as before"),
    }),
  make: ({ before: given, after }, { length, causal }) => {
    const before = given ?? eighthOf(length, 256);
    return always(slidingWindow({ before, after: positionsAfter("window", after, before, causal) }));
  },
});
