import { or, perHead } from "./combine.ts";
import { inFront, laidOut, type Order } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { perLayer } from "./per-layer.ts";
import { addSpan, expectWhole, span } from "./span.ts";

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
  return laidOut(or(fixedBlock(options), fixedSummary(options)), summariesFirst(options));
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
