import { expect, test } from "vitest";
import { fastestCut, microBatchCandidates } from "../../src/train/micro-batch-trial.ts";

test("cuts that are tried divide the batch into parts of 512 to 4,096 tokens; the usual one is among them", () => {
  expect(microBatchCandidates(16, 256)).toEqual([1, 2, 4, 8]);
  expect(microBatchCandidates(8, 512)).toEqual([1, 2, 4, 8]);
  expect(microBatchCandidates(12, 64)).toEqual([1]);
  expect(microBatchCandidates(6, 1024)).toEqual([2, 3, 6]);
  // Parts of one row, however long.
  expect(microBatchCandidates(4, 8192)).toEqual([4]);
  expect(microBatchCandidates(4, 16)).toEqual([1]);
});

test("another cut than the usual one is taken if it saves 5 % or more", () => {
  const times = (one: number, two: number, four: number) =>
    new Map([
      [1, one],
      [2, two],
      [4, four],
    ]);
  expect(fastestCut(times(90, 95, 100), 4)).toBe(1);
  expect(fastestCut(times(98, 94, 100), 4)).toBe(2);
  expect(fastestCut(times(98, 98, 100), 4)).toBe(4);
  expect(fastestCut(times(98, 98, 100), 1)).toBe(1);
  // Nothing was tried, or not the usual one.
  expect(fastestCut(new Map(), 4)).toBe(4);
  expect(fastestCut(new Map([[8, 50]]), 4)).toBe(8);
});
