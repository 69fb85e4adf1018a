import { describe, expect, test } from "vitest";
import { computedPairs } from "../../../src/attention/core/plan.ts";
import { fixed, fixedBlock, fixedHeads, fixedLayers, fixedSummary } from "../../../src/attention/patterns/fixed.ts";
import {
  strided,
  stridedColumn,
  stridedHeads,
  stridedLayers,
  stridedLocal,
} from "../../../src/attention/patterns/strided.ts";
import { expectCausal, expectShows } from "./predicate.ts";

describe.each([1, 4, 10])("strided, stride %i", (stride) => {
  const causal = { stride, causal: true };
  const both = { stride, causal: false };
  const near = (j: number, i: number) => j <= i && j > i - stride;
  const column = (j: number, i: number) => j <= i && (i - j) % stride === 0;

  test("local half, the released code's and the paper's", () => {
    expectShows(stridedLocal(causal), near);
    expectShows(stridedLocal({ ...causal, reach: stride }), (j, i) => j <= i && j >= i - stride);
  });

  test("column half", () => expectShows(stridedColumn(causal), column));

  test("merged, by head and by layer", () => {
    expectShows(strided(causal), (j, i) => near(j, i) || column(j, i));
    expectShows(stridedHeads(causal), (j, i, head) => (head === 0 ? near : column)(j, i));
    const layers = stridedLayers(causal);
    expectShows(layers(0), near);
    expectShows(layers(3), column);
    expect(layers(2)).toBe(layers(0));
  });

  test("never looks ahead when causal, and as far ahead as back otherwise", () => {
    expectCausal(strided(causal));
    expectCausal(stridedHeads(causal));
    expectShows(strided(both), (j, i) => Math.abs(i - j) < stride || (i - j) % stride === 0);
  });
});

describe.each([
  { stride: 4, summary: 1, place: 0 },
  { stride: 4, summary: 1, place: 3 },
  { stride: 8, summary: 3, place: 1 },
  { stride: 10, summary: 10, place: 0 },
  { stride: 1, summary: 1, place: 0 },
])("fixed %j", (sizes) => {
  const { stride, summary, place } = sizes;
  const block = (j: number, i: number) => Math.floor(j / stride) === Math.floor(i / stride);
  const isSummary = (j: number) =>
    j % stride < stride - place * summary && j % stride >= stride - (place + 1) * summary;

  test("both halves, merged and by layer", () => {
    const options = { ...sizes, causal: true };
    expectShows(fixedBlock(options), (j, i) => block(j, i) && j <= i);
    expectShows(fixedSummary(options), (j, i) => isSummary(j) && j <= i);
    expectShows(fixed(options), (j, i) => (block(j, i) || isSummary(j)) && j <= i);
    expectShows(fixedLayers(options)(1), (j, i) => isSummary(j) && j <= i);
    expectCausal(fixed(options));
  });

  test("both ways, and with the first position of each block", () => {
    expectShows(fixed({ ...sizes, causal: false }), (j, i) => block(j, i) || isSummary(j));
    expectShows(
      fixedSummary({ ...sizes, causal: true, withFirst: true }),
      (j, i) => (isSummary(j) || j % stride === 0) && j <= i,
    );
  });
});

test("heads have summary positions of their own, counted from the end of a block", () => {
  const pattern = fixedHeads({ stride: 8, summary: 2, causal: true });
  expect(pattern.heads).toHaveLength(4);
  expectShows(pattern, (j, i, head) => {
    const isSummary = Math.floor((7 - (j % 8)) / 2) === head;
    return j <= i && (isSummary || Math.floor(j / 8) === Math.floor(i / 8));
  });
  expectCausal(pattern);
});

test("what does not fit into a block is refused", () => {
  expect(() => fixed({ stride: 4, summary: 2, place: 2, causal: true })).toThrow("do not fit into a block of 4");
});

test("n√n stays n√n when it is computed in blocks", () => {
  const sizes = { queries: 4096, keys: 4096 };
  const all = 4096 * 4096;
  expect(computedPairs(strided({ stride: 64, causal: true }), sizes)).toBeLessThan(all / 8);
  expect(computedPairs(fixed({ stride: 64, summary: 4, causal: true }), sizes)).toBeLessThan(all / 5);
});
