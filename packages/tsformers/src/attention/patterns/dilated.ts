import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { perHead } from "./combine.ts";
import { byResidue } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";
import { eighthOf, positionsAfter } from "./usual-sizes.ts";
import { slidingWindow, type WindowOptions } from "./window.ts";

export type DilatedOptions = WindowOptions & {
  /** Distance between neighbouring keys of the window; 1: no gaps. */
  readonly dilation: number;
};

/**
 * A sliding window with gaps: as many keys as a plain window, further apart.
 *
 * `S_i = {i + k·dilation : −before ≤ k ≤ after}`
 *
 * Positions of one residue modulo the dilation see only one another, and are computed side by side.
 *
 * @cost   O(n·(before + after + 1)) pairs
 * @source Beltagy, Peters & Cohan 2020, "Longformer", §3.1, arXiv:2004.05150
 */
export function dilatedWindow({ before, after, dilation }: DilatedOptions): Pattern {
  expectWhole("dilated", "dilation", dilation, 1);
  if (dilation === 1) return slidingWindow({ before, after });
  expectWhole("dilated", "before", before);
  expectWhole("dilated", "after", after);
  return {
    name: `dilated window (${before} before, ${after} after, every ${dilation})`,
    keys: (query, length) => {
      const runs: number[] = [];
      const first = query - Math.min(before, Math.floor(query / dilation)) * dilation;
      const last = Math.min(length - 1, query + after * dilation);
      for (let key = first; key <= last; key += dilation) addSpan(runs, key, key + 1);
      return runs;
    },
    order: byResidue(dilation),
  };
}

/** A dilation per head; with more heads they repeat. Heads with equal dilations share a pattern. */
export function dilatedHeads({
  dilations,
  ...sides
}: WindowOptions & { readonly dilations: readonly number[] }): Pattern {
  const made = new Map([...new Set(dilations)].map((dilation) => [dilation, dilatedWindow({ ...sides, dilation })]));
  return made.size === 1 ? [...made.values()][0]! : perHead(dilations.map((dilation) => made.get(dilation)!));
}

export type DilatedSettings = {
  readonly before?: number;
  readonly after?: number;
  readonly dilations?: readonly number[];
};

export const dilatedEntry: PatternEntry<"dilated", DilatedSettings> = /* @__PURE__ */ patternEntry({
  name: "dilated",
  title: "Dilated window",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "a sliding window with gaps, of a width for each head",
  formula: "S_i = {i + k·dilation : −before ≤ k ≤ after}",
  cost: "n·(before + after + 1) pairs",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      before: positionCount(0).optional().describe("keys back. Default: a sixteenth of the length, at most 128"),
      after: positionCount(0).optional().describe("keys ahead. Default: 0 when causal, otherwise as many as before"),
      dilations: z.array(positionCount()).min(1).default([2]).describe("distance between keys, for each head in turn"),
    }),
  make: ({ before: given, after, dilations }, { length, causal }) => {
    const before = given ?? eighthOf(length / 2, 128);
    return always(dilatedHeads({ before, after: positionsAfter("dilated", after, before, causal), dilations }));
  },
});
