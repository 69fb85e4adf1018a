import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { perHead } from "./combine.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";

/**
 * Blockwise attention: queries of block i see the keys of block π(i) and nothing else.
 *
 * `S_i = {j : b(j) = π(b(i))}`, where block b begins at ⌊b·n/n_b⌋: lengths differ by one if n_b does not divide n. Bidirectional
 * only: under most permutations a block would see only what comes later.
 *
 * @param permutation π: for each of the n_b blocks of queries, its block of keys
 * @cost   n²/n_b pairs
 * @source Qiu et al. 2020, "Blockwise Self-Attention for Long Document Understanding", §3.1, arXiv:1911.02972
 * @throws RangeError when `permutation` is not a permutation of 0 … n_b − 1
 */
export function blockwise(permutation: readonly number[]): Pattern {
  const blocks = permutation.length;
  if (blocks === 0 || new Set(permutation).size !== blocks || permutation.some((to) => !(to in permutation))) {
    throw new RangeError(
      `blockwise: expected a permutation that holds each of 0…n−1 once, got [${permutation.join(", ")}]`,
    );
  }
  return {
    name: `blocks ${permutation.join(" ")}`,
    keys: (query, length) => {
      // The last block that begins at or before the query; block b begins at ⌊b·length/blocks⌋.
      const own = Math.ceil(((Math.min(query, length - 1) + 1) * blocks) / length) - 1;
      const seen = permutation[own]!;
      const [from, to] = [Math.floor((seen * length) / blocks), Math.floor(((seen + 1) * length) / blocks)];
      return from < to ? [from, to] : [];
    },
  };
}

/** A permutation per head; with more heads they repeat. Heads with equal permutations share a pattern. */
export function blockwiseHeads(permutations: readonly (readonly number[])[]): Pattern {
  const made = new Map(permutations.map((permutation) => [permutation.join(), blockwise(permutation)]));
  return perHead(permutations.map((permutation) => made.get(permutation.join())!));
}

/** The paper's permutations: block i → block i + by, modulo the number of blocks. `by` 0 is the identity. */
export function shiftedBlocks(blocks: number, by: number): number[] {
  return Array.from({ length: blocks }, (_, i) => (((i + by) % blocks) + blocks) % blocks);
}

/**
 * The paper's assignment of permutations to heads: most heads keep the identity, the others shift by 1, by 2, ….
 *
 * @param options.shifted how many heads shift; the paper uses 1 to 4 of 12
 * @throws RangeError when more heads shift than there are
 */
export function shiftingHeads(options: { blocks: number; heads: number; shifted: number }): Pattern {
  const { blocks, heads, shifted } = options;
  if (shifted > heads)
    throw new RangeError(`blockwise: expected at most ${heads} shifted heads, as many as there are, got ${shifted}`);
  return blockwiseHeads(
    Array.from({ length: heads }, (_, head) => {
      const place = head - (heads - shifted);
      return shiftedBlocks(blocks, place < 0 ? 0 : 1 + (place % Math.max(1, blocks - 1)));
    }),
  );
}

export type BlockwiseSettings = {
  readonly blocks?: number;
  readonly shifted?: number;
  readonly permutations?: readonly (readonly number[])[];
};

export const blockwiseEntry: PatternEntry<"blockwise", BlockwiseSettings> = /* @__PURE__ */ patternEntry({
  name: "blockwise",
  title: "Blockwise attention",
  year: 2020,
  paper: "Qiu et al. 2020, Blockwise Self-Attention for Long Document Understanding, arXiv:1911.02972",
  summary: "blocks of queries see one block of keys each, by a permutation for each head",
  formula: "S_i = {j : block(j) = π_h(block(i))}",
  cost: "n²/n_b pairs",
  exponent: 2,
  directions: ["bidirectional"],
  options: () =>
    z.strictObject({
      blocks: positionCount().default(2).describe("n_b, into how many blocks the sequence is cut"),
      shifted: positionCount(0)
        .optional()
        .describe("how many heads see another block than their own. Default: a third of them"),
      permutations: z
        .array(z.array(positionCount(0)).min(1))
        .min(1)
        .optional()
        .describe(
          "for each head, the block that each block sees: [[0,1],[1,0]]; instead of the two above. Default: as the two above say",
        ),
    }),
  make: ({ blocks, shifted, permutations }, { heads }) => {
    if (permutations !== undefined) return always(blockwiseHeads(permutations));
    return always(shiftingHeads({ blocks, heads, shifted: shifted ?? Math.round(heads / 3) }));
  },
});
