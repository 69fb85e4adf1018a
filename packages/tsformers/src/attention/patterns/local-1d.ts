import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { expectWhole, span } from "./span.ts";
import { eighthOf } from "./usual-sizes.ts";

/**
 * One-dimensional local attention: the query's own block and the whole block before it.
 *
 * `S_i = {j : ⌊j/l⌋ ∈ {⌊i/l⌋ − 1, ⌊i/l⌋}, j ≤ i}`; not causal: the whole own block, and the block after it as well.
 *
 * @cost   O(n·l) pairs
 * @source Parmar et al. 2018, "Image Transformer", §3.3, arXiv:1802.05751
 * @differs memory blocks are as long as query blocks, as in the authors' code; in the paper their length may differ
 */
export function local1d({ block, causal }: { readonly block: number; readonly causal: boolean }): Pattern {
  expectWhole("local-1d", "block", block, 1);
  return {
    name: `1-D local (blocks of ${block})`,
    keys: (query, length) => {
      const first = query - (query % block);
      return span(first - block, causal ? query + 1 : first + 2 * block, length);
    },
  };
}

export type Local1dSettings = { readonly block?: number };

export const local1dEntry: PatternEntry<"local-1d", Local1dSettings> = /* @__PURE__ */ patternEntry({
  name: "local-1d",
  title: "1-D local attention",
  year: 2018,
  paper: "Parmar et al. 2018, Image Transformer, arXiv:1802.05751",
  summary: "the query's own block and the one before it",
  formula: "S_i = {j : ⌊j/l⌋ ∈ {⌊i/l⌋ − 1, ⌊i/l⌋}, j ≤ i}",
  cost: "n·1.5·l pairs",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      block: positionCount().optional().describe("positions in a block. Default: an eighth of the length, at most 256"),
    }),
  make: ({ block }, { length, causal }) => always(local1d({ block: block ?? eighthOf(length, 256), causal })),
});
