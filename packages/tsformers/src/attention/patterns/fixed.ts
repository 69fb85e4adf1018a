import { or, perHead } from "./combine.ts";
import { inFront, laidOut, type Order } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { perLayer } from "./per-layer.ts";
import { addSpan, expectWhole, span } from "./span.ts";

export type FixedOptions = {
  /** l: positions in a block. */
  readonly stride: number;
  readonly causal: boolean;
  /** c: how many positions of each block all later ones see. */
  readonly summary: number;
  /** Which c of a block, counted from its end; 0, the last ones, unless told. */
  readonly place?: number;
  /** The first position of each block counts among them, as in Long Range Arena's form. */
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
 * Causal queries before the first summary position see nothing: it takes both halves, or residual connections.
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

/** Both halves in every head, the paper's merged head. */
export function fixed(options: FixedOptions): Pattern {
  return laidOut(or(fixedBlock(options), fixedSummary(options)), summariesFirst(options));
}

/**
 * Both halves in every head, each head with summary positions of its own: head h has those at place h.
 *
 * @param options.places how many places there are: all that fit into a block unless told
 */
export function fixedHeads(options: Omit<FixedOptions, "place"> & { readonly places?: number }): Pattern {
  const { stride, summary, places = Math.floor(stride / summary) } = options;
  return perHead(Array.from({ length: places }, (_, place) => fixed({ ...options, place })));
}

/** Layers take the two halves in turn. */
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

/** Summary positions side by side, so that all queries see one run of them. */
function summariesFirst(options: FixedOptions): Order {
  const [low, high] = summarySpan(options);
  const { stride, withFirst = false } = options;
  return inFront(`summaries ${stride} ${low} ${high} ${withFirst}`, (position) => {
    const at = position % stride;
    return (at >= low && at < high) || (withFirst && at === 0);
  });
}
