import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { uniteRuns } from "../core/runs.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { expectWhole, span } from "./span.ts";
import { eighthOf } from "./usual-sizes.ts";

export type SinksOptions = {
  /** Positions at the beginning that every later one sees. */
  readonly sinks: number;
  /** Visible positions before the query; W − 1 for a window of W, which counts the query itself. */
  readonly before: number;
};

/**
 * A causal window with attention sinks: a position sees itself, its predecessors, and the first positions of the sequence at any distance.
 *
 * `S_i = {j ≤ i : i − j ≤ before or j < sinks}`
 *
 * Decoding keeps the keys and values of these positions and no others, however long the sequence.
 *
 * @cost   O(n·(sinks + before + 1)) pairs
 * @source Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", §3, arXiv:2309.17453
 * @differs positions are those of the sequence; the paper's, of the cache, are {@link streamingRotary}'s
 */
export function windowWithSinks({ sinks, before }: SinksOptions): Pattern {
  expectWhole("sinks", "sinks", sinks);
  expectWhole("sinks", "before", before);
  return {
    name: `window (${before} before) and ${sinks} sinks`,
    keys: (query, length) =>
      uniteRuns(span(0, Math.min(sinks, query + 1), length), span(query - before, query + 1, length)),
  };
}

/** What pattern and positions of streaming have in common, of sequences of `length`. */
export function usualSinks(length: number): SinksOptions {
  return { sinks: 4, before: eighthOf(length, 256) };
}

export type SinksSettings = { readonly sinks?: number; readonly before?: number };

/** The options of {@link usualSinks}. */
export function sinksOptions(): { sinks: z.ZodOptional<z.ZodInt>; before: z.ZodOptional<z.ZodInt> } {
  return {
    sinks: positionCount(0).optional().describe("first positions that all later ones see. Default: 4"),
    before: positionCount(0).optional().describe("positions back. Default: an eighth of the length, at most 256"),
  };
}

export const sinksEntry: PatternEntry<"sinks", SinksSettings> = /* @__PURE__ */ patternEntry({
  name: "sinks",
  title: "Window with attention sinks",
  year: 2023,
  paper: "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453",
  summary: "a sliding window, and the first few positions at any distance",
  formula: "S_i = {j ≤ i : i − j ≤ before or j < sinks}",
  cost: "n·(sinks + before + 1) pairs",
  exponent: 1,
  directions: ["causal"],
  options: () => z.strictObject({ ...sinksOptions() }),
  make: ({ sinks, before }, { length }) => {
    const usual = usualSinks(length);
    return always(windowWithSinks({ sinks: sinks ?? usual.sinks, before: before ?? usual.before }));
  },
});
