import { perHead } from "./combine.ts";
import type { Pattern } from "./pattern.ts";

/**
 * Blockwise attention: queries of block i see the keys of block π(i) and nothing else.
 *
 * `S_i = {j : ⌊j·n_b/n⌋ = π(⌊i·n_b/n⌋)}`. Blocks differ by one position where n_b does not divide n. Bidirectional only: under
 * most permutations a block sees what comes later, or nothing.
 *
 * @param permutation π: for each of the n_b blocks of queries, its block of keys
 * @cost   n²/n_b pairs
 * @source Qiu et al. 2020, "Blockwise Self-Attention for Long Document Understanding", §3.1, arXiv:1911.02972
 * @throws RangeError when `permutation` is none
 */
export function blockwise(permutation: readonly number[]): Pattern {
  const blocks = permutation.length;
  if (blocks === 0 || new Set(permutation).size !== blocks || permutation.some((to) => !(to in permutation))) {
    throw new RangeError(`blockwise: expected each of 0…n−1 once, got [${permutation.join(", ")}]`);
  }
  return {
    name: `blocks ${permutation.join(" ")}`,
    keys: (query, length) => {
      // The last block that begins at or before the query, when block b begins at ⌊b·length/blocks⌋.
      const own = Math.ceil(((Math.min(query, length - 1) + 1) * blocks) / length) - 1;
      const seen = permutation[own]!;
      const [from, to] = [Math.floor((seen * length) / blocks), Math.floor(((seen + 1) * length) / blocks)];
      return from < to ? [from, to] : [];
    },
  };
}

/** A permutation for each head; with more heads they repeat. Heads with equal ones share a pattern. */
export function blockwiseHeads(permutations: readonly (readonly number[])[]): Pattern {
  const made = new Map(permutations.map((permutation) => [permutation.join(), blockwise(permutation)]));
  return perHead(permutations.map((permutation) => made.get(permutation.join())!));
}

/** Block i → block i + by, round and round: the paper's permutations. 0 stays at home. */
export function shiftedBlocks(blocks: number, by: number): number[] {
  return Array.from({ length: blocks }, (_, i) => (((i + by) % blocks) + blocks) % blocks);
}

/**
 * The paper's way of dealing permutations to heads: most stay at home, the others shift by 1, by 2, ….
 *
 * @param shifted how many heads shift; of 12 the paper gives 1 to 4 of them away
 */
export function shiftingHeads(options: { blocks: number; heads: number; shifted: number }): Pattern {
  const { blocks, heads, shifted } = options;
  return blockwiseHeads(
    Array.from({ length: heads }, (_, head) => {
      const place = head - (heads - shifted);
      return shiftedBlocks(blocks, place < 0 ? 0 : 1 + (place % Math.max(1, blocks - 1)));
    }),
  );
}
