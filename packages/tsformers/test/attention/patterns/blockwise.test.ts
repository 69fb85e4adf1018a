import { describe, expect, test } from "vitest";
import { blockwise, blockwiseHeads, shiftedBlocks, shiftingHeads } from "../../../src/attention/patterns/blockwise.ts";
import { expectShows, lengths } from "./predicate.ts";

/** Blocks counted out one position at a time: block b begins at ⌊b·n/n_b⌋. */
function blockOf(position: number, blocks: number, length: number): number {
  let own = -1;
  for (let block = 0; block < blocks; block++) if (Math.floor((block * length) / blocks) <= position) own = block;
  return own;
}

describe.each([[[0]], [[0, 1]], [[1, 0]], [[1, 2, 0]], [[2, 0, 1]], [[3, 1, 4, 0, 2]]])(
  "permutation %j",
  (permutation) => {
    test.each(lengths)("at length %i", (length) => {
      const blocks = permutation.length;
      expectShows(
        blockwise(permutation),
        (j, i) => blockOf(j, blocks, length) === permutation[blockOf(i, blocks, length)],
        [length],
      );
    });
  },
);

test("a permutation for each head", () => {
  const permutations = [
    [0, 1],
    [1, 0],
    [0, 1],
  ];
  const pattern = blockwiseHeads(permutations);
  expectShows(pattern, (j, i, head) => Math.floor(j / 30) === permutations[head]![Math.floor(i / 30)], [60]);
  expect(pattern.heads![0]).toBe(pattern.heads![2]);
});

test("shifts", () => {
  expect(shiftedBlocks(3, 1)).toEqual([1, 2, 0]);
  expect(shiftedBlocks(3, -1)).toEqual([2, 0, 1]);
  const { heads } = shiftingHeads({ blocks: 3, heads: 5, shifted: 3 });
  const moved = heads!.map((own) => own.keys(0, 3)[0]);
  expect(moved).toEqual([0, 0, 1, 2, 1]);
});

test("what is no permutation is refused", () => {
  for (const wrong of [[], [0, 0], [1, 2], [-1, 0]]) expect(() => blockwise(wrong)).toThrow("each of 0…n−1 once");
});

test("of twelve heads as many see another block as are said to, never more than there are", () => {
  const { heads } = shiftingHeads({ blocks: 2, heads: 12, shifted: 2 });
  expect(heads!.map((own) => own.keys(0, 1024)[0])).toEqual([...new Array<number>(10).fill(0), 512, 512]);
  expect(() => shiftingHeads({ blocks: 2, heads: 4, shifted: 5 })).toThrow(
    "blockwise: expected at most 4 shifted heads, as many as there are, got 5",
  );
});
