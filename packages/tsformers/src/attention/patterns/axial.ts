import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { perHead, union } from "./combine.ts";
import { byResidue } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { type HalvesUse, halvesOption, type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always, perLayer } from "./per-layer.ts";
import { addSpan, expectWhole, span } from "./span.ts";
import { rootOf } from "./usual-sizes.ts";

export type GridOptions = {
  /** Positions in a row of the grid; position i is in row ⌊i/columns⌋. The last row may be shorter. */
  readonly columns: number;
  readonly causal: boolean;
};

/**
 * A position sees its own row of the grid; causal: up to itself.
 *
 * `S_i = {j : ⌊j/w⌋ = ⌊i/w⌋}`
 *
 * @cost   O(n·w) pairs
 * @source Ho et al. 2019, "Axial Attention in Multidimensional Transformers", §3, arXiv:1912.12180
 */
export function axialRow({ columns, causal }: GridOptions): Pattern {
  expectWhole("axial", "columns", columns, 1);
  return {
    name: `row of ${columns}`,
    keys: (query, length) => {
      const first = query - (query % columns);
      return span(first, causal ? query + 1 : first + columns, length);
    },
  };
}

/**
 * A position sees its own column of the grid; causal: itself and what is above, or, with `strictly`, only what is above.
 *
 * `S_i = {j : j ≡ i mod w}`
 *
 * @cost   O(n²/w) pairs
 * @source Ho et al. 2019, §3, arXiv:1912.12180
 */
export function axialColumn({ columns, causal, strictly }: GridOptions & { readonly strictly?: true }): Pattern {
  expectWhole("axial", "columns", columns, 1);
  return {
    name: `column of ${columns}${strictly ? ", above" : ""}`,
    keys: (query, length) => {
      const runs: number[] = [];
      const end = causal || strictly ? Math.min(query + (strictly ? 0 : 1), length) : length;
      for (let key = query % columns; key < end; key += columns) addSpan(runs, key, key + 1);
      return runs;
    },
    order: byResidue(columns),
  };
}

/** Row and column of each position under one softmax. */
export function axialCross(options: GridOptions): Pattern {
  return union(axialRow(options), axialColumn(options));
}

/** Even heads see rows, odd heads columns. */
export function axialHeads(options: GridOptions): Pattern {
  return perHead([axialRow(options), axialColumn(options)]);
}

/** Even layers see rows, odd layers columns: two layers connect every pair of positions. */
export function axialLayers(options: GridOptions): (layer: number) => Pattern {
  return perLayer([axialRow(options), axialColumn(options)]);
}

export type AxialPatternSettings = { readonly columns?: number; readonly use?: HalvesUse };

export const axialEntry: PatternEntry<"axial", AxialPatternSettings> = /* @__PURE__ */ patternEntry({
  name: "axial",
  title: "Rows and columns of a grid",
  year: 2019,
  paper: "Ho et al. 2019, Axial Attention in Multidimensional Transformers, arXiv:1912.12180",
  summary: "the query's own row and column of a grid",
  formula: "S_i = {j : ⌊j/w⌋ = ⌊i/w⌋} and {j : j ≡ i mod w}",
  cost: "n·(w + n/w) pairs: n√n",
  exponent: 1.5,
  directions: ["bidirectional", "causal"],
  options: () =>
    z.strictObject({
      columns: positionCount().optional().describe("positions in a row of the grid. Default: the root of the length"),
      use: halvesOption("layers"),
    }),
  make: ({ columns, use }, { length, causal }) => {
    const options = { columns: columns ?? rootOf(length), causal };
    if (use === "layers") return axialLayers(options);
    return always(use === "merged" ? axialCross(options) : axialHeads(options));
  },
});
