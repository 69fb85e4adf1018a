import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { perHead, union } from "./combine.ts";
import { byResidue } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { type HalvesUse, halvesOption, type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always, perLayer } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";
import { rootOf } from "./usual-sizes.ts";
import { slidingWindow } from "./window.ts";

export type StridedOptions = {
  /** l: the stride, near √n; for images their width. */
  readonly stride: number;
  readonly causal: boolean;
  /** Positions back in the first half. Default: `stride` − 1, as in the released code; the paper has l. */
  readonly reach?: number;
};

/**
 * The first half of the strided pattern: the last l positions.
 *
 * `A1_i = {j : i − l < j ≤ i}`; not causal: as far ahead as well.
 *
 * @source Child et al. 2019, "Generating Long Sequences with Sparse Transformers", §4.2, arXiv:1904.10509
 * @differs the paper begins at i − l, its code at i − l + 1 so that the query is one of the l; the default is the code's, which
 *   the published models were trained with. `reach: stride` gives the paper's.
 */
export function stridedLocal({ stride, causal, reach = stride - 1 }: StridedOptions): Pattern {
  expectWhole("strided", "stride", stride, 1);
  return slidingWindow({ before: reach, after: causal ? 0 : reach });
}

/**
 * The second half of the strided pattern: every l-th position, counted from the query.
 *
 * `A2_i = {j : (i − j) mod l = 0, j ≤ i}`
 *
 * @cost   O(n²/l) pairs
 * @source Child et al. 2019, §4.2, arXiv:1904.10509
 */
export function stridedColumn({ stride, causal }: StridedOptions): Pattern {
  expectWhole("strided", "stride", stride, 1);
  return {
    name: `steps of ${stride} from the query`,
    keys: (query, length) => {
      const runs: number[] = [];
      const last = causal ? Math.min(query, length - 1) : length - 1;
      for (let key = query % stride; key <= last; key += stride) addSpan(runs, key, key + 1);
      return runs;
    },
    order: byResidue(stride),
  };
}

/** Both halves in every head: the paper's merged head. */
export function strided(options: StridedOptions): Pattern {
  return union(stridedLocal(options), stridedColumn(options));
}

/** Even heads have the first half, odd heads the second. */
export function stridedHeads(options: StridedOptions): Pattern {
  return perHead([stridedLocal(options), stridedColumn(options)]);
}

/** Layers alternate between the two halves: two layers connect every pair of positions. */
export function stridedLayers(options: StridedOptions): (layer: number) => Pattern {
  return perLayer([stridedLocal(options), stridedColumn(options)]);
}

export type StridedSettings = { readonly stride?: number; readonly reach?: number; readonly use?: HalvesUse };

export const stridedEntry: PatternEntry<"strided", StridedSettings> = /* @__PURE__ */ patternEntry({
  name: "strided",
  title: "Strided pattern",
  year: 2019,
  paper: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, arXiv:1904.10509",
  summary: "the last l positions, and every l-th before them",
  formula: "A1_i = {j : i − l < j ≤ i}, A2_i = {j : (i − j) mod l = 0, j ≤ i}",
  cost: "n·(l + n/l) pairs: n√n",
  exponent: 1.5,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      stride: positionCount().optional().describe("l, the width of an image. Default: the root of the length"),
      reach: positionCount(0).optional().describe("positions back of the first half; the paper has l. Default: l − 1"),
      use: halvesOption("merged"),
    }),
  make: ({ stride, reach, use }, { length, causal }) => {
    const options = { stride: stride ?? rootOf(length), causal, ...present({ reach }) };
    if (use === "layers") return stridedLayers(options);
    return always(use === "merged" ? strided(options) : stridedHeads(options));
  },
});
