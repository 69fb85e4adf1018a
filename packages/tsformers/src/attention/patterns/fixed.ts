import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { perHead, union } from "./combine.ts";
import { inFront, laidOut, type Order } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { type HalvesUse, halvesOption, type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always, perLayer } from "./per-layer.ts";
import { addSpan, expectWhole, span } from "./span.ts";
import { rootOf } from "./usual-sizes.ts";

export type FixedOptions = {
  /** l: positions in a block. */
  readonly stride: number;
  readonly causal: boolean;
  /** c: how many positions of each block are summary positions, visible to all later queries. */
  readonly summary: number;
  /** Which group of c positions of a block, counted from its end. Default: 0, the last ones. */
  readonly place?: number;
  /** The first position of each block is a summary position too, as in Long Range Arena. */
  readonly withFirst?: true;
};

/**
 * The first half of the fixed pattern: the query's own block.
 *
 * `A1_i = {j : ⌊j/l⌋ = ⌊i/l⌋, j ≤ i}`
 *
 * @source Child et al. 2019, "Generating Long Sequences with Sparse Transformers", §4.2, arXiv:1904.10509
 */
export function fixedBlock({ stride, causal }: Pick<FixedOptions, "stride" | "causal">): Pattern {
  expectWhole("fixed", "stride", stride, 1);
  return {
    name: `own block of ${stride}`,
    keys: (query, length) => {
      const first = query - (query % stride);
      return span(first, causal ? query + 1 : first + stride, length);
    },
  };
}

/**
 * The second half of the fixed pattern: a few summary positions of every block.
 *
 * `A2_i = {j : l − (place + 1)·c ≤ j mod l < l − place·c, j ≤ i}`
 *
 * Causal queries before the first summary position see no key: combine both halves, or rely on residual connections.
 *
 * @cost   O(n²·c/l) pairs
 * @source Child et al. 2019, §4.2, arXiv:1904.10509
 */
export function fixedSummary(options: FixedOptions): Pattern {
  const { stride, causal, withFirst } = options;
  const [low, high] = summarySpan(options);
  return {
    name: `positions ${low}…${high - 1} of every ${stride}${withFirst ? " and the first" : ""}`,
    keys: (query, length) => {
      const runs: number[] = [];
      const end = causal ? Math.min(query + 1, length) : length;
      for (let first = 0; first < end; first += stride) {
        if (withFirst) addSpan(runs, first, first + 1);
        addSpan(runs, first + low, Math.min(end, first + high));
      }
      return runs;
    },
    order: summariesFirst(options),
  };
}

/** Both halves in every head: the paper's merged head. */
export function fixed(options: FixedOptions): Pattern {
  return laidOut(union(fixedBlock(options), fixedSummary(options)), summariesFirst(options));
}

/**
 * Both halves in every head, with different summary positions per head: head h has those at place h, modulo `places`.
 *
 * @param options.places number of places. Default: as many as fit into a block
 */
export function fixedHeads(options: Omit<FixedOptions, "place"> & { readonly places?: number }): Pattern {
  const { stride, summary, places = Math.floor(stride / summary) } = options;
  return perHead(Array.from({ length: places }, (_, place) => fixed({ ...options, place })));
}

/** Layers alternate between the two halves. */
export function fixedLayers(options: FixedOptions): (layer: number) => Pattern {
  return perLayer([fixedBlock(options), fixedSummary(options)]);
}

function summarySpan({ stride, summary, place = 0 }: FixedOptions): [low: number, high: number] {
  expectWhole("fixed", "stride", stride, 1);
  expectWhole("fixed", "summary", summary, 1);
  expectWhole("fixed", "place", place);
  if ((place + 1) * summary > stride) {
    throw new RangeError(`fixed: ${summary} summary positions at place ${place} do not fit into a block of ${stride}`);
  }
  return [stride - (place + 1) * summary, stride - place * summary];
}

/** Order with the summary positions next to one another, so that queries see them as one run. */
function summariesFirst(options: FixedOptions): Order {
  const [low, high] = summarySpan(options);
  const { stride, withFirst = false } = options;
  return inFront(`summaries ${stride} ${low} ${high} ${withFirst}`, (position) => {
    const at = position % stride;
    return (at >= low && at < high) || (withFirst && at === 0);
  });
}

export type FixedSettings = {
  readonly stride?: number;
  readonly summary?: number;
  readonly withFirst?: boolean;
  readonly use?: HalvesUse;
  readonly ownPlaces?: boolean;
};

export const fixedEntry: PatternEntry<"fixed", FixedSettings> = /* @__PURE__ */ patternEntry({
  name: "fixed",
  title: "Fixed pattern",
  year: 2019,
  paper: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, arXiv:1904.10509",
  summary: "the query's own block, and a few summary positions of all blocks before",
  formula: "A1_i = {j : ⌊j/l⌋ = ⌊i/l⌋, j ≤ i}, A2_i = {j : j mod l ≥ l − c, j ≤ i}",
  cost: "n·(l + c·n/l) pairs: n√n",
  exponent: 1.5,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      stride: positionCount().optional().describe("l, positions in a block. Default: the root of the length"),
      summary: positionCount().optional().describe("c, summary positions of a block. Default: l/8, at least 1"),
      withFirst: z.boolean().default(false).describe("the first of each block is a summary position too"),
      use: halvesOption("merged"),
      ownPlaces: z.boolean().default(false).describe("each head has summary positions of its own (merged halves)"),
    }),
  make: ({ stride: given, summary, withFirst, use, ownPlaces }, { length, causal, heads }) => {
    const stride = given ?? rootOf(length);
    const first = withFirst ? ({ withFirst: true } as const) : {};
    const options = { stride, causal, summary: summary ?? Math.max(1, Math.floor(stride / 8)), ...first };
    if (ownPlaces && use !== "merged") throw new RangeError('fixed: ownPlaces goes with use "merged"');
    if (ownPlaces) {
      const places = Math.min(heads, Math.floor(stride / options.summary));
      return always(fixedHeads({ ...options, places }));
    }
    if (use === "layers") return fixedLayers(options);
    return always(use === "merged" ? fixed(options) : perHead([fixedBlock(options), fixedSummary(options)]));
  },
});
