import { describe, expect, test } from "vitest";
import { computedPairs } from "../../../src/attention/core/plan.ts";
import { dilatedHeads, dilatedWindow } from "../../../src/attention/patterns/dilated.ts";
import { windowWithSinks } from "../../../src/attention/patterns/sinks.ts";
import { slidingWindow } from "../../../src/attention/patterns/window.ts";
import { expectCausal, expectShows } from "./predicate.ts";

describe("window", () => {
  test.each([
    [0, 0],
    [3, 0],
    [0, 4],
    [5, 2],
    [200, 200],
  ])("%i before, %i after", (before, after) => {
    expectShows(slidingWindow({ before, after }), (j, i) => i - j <= before && j - i <= after);
  });

  test("is causal when nothing is after", () => expectCausal(slidingWindow({ before: 9, after: 0 })));

  test("refuses what is not a count", () => {
    expect(() => slidingWindow({ before: -1, after: 0 })).toThrow('at least 0 as "before", got -1');
    expect(() => slidingWindow({ before: 1, after: 0.5 })).toThrow('"after", got 0.5');
  });
});

describe("window with sinks", () => {
  test.each([
    [0, 0],
    [0, 5],
    [3, 0],
    [4, 6],
    [2, 200],
    [200, 2],
  ])("%i sinks, %i before", (sinks, before) => {
    const pattern = windowWithSinks({ sinks, before });
    expectShows(pattern, (j, i) => j <= i && (i - j <= before || j < sinks));
    expectCausal(pattern);
  });

  test("as many keys as a cache of the same size holds", () => {
    const { keys } = windowWithSinks({ sinks: 4, before: 9 });
    expect(keys(1000, 2000)).toEqual([0, 4, 991, 1001]);
  });

  test("refuses what is not a count", () => {
    expect(() => windowWithSinks({ sinks: -1, before: 0 })).toThrow(
      'sinks: expected a whole number of at least 0 as "sinks"',
    );
    expect(() => windowWithSinks({ sinks: 1, before: 0.5 })).toThrow('"before", got 0.5');
  });
});

describe("dilated", () => {
  test.each([
    [2, 2, 1],
    [3, 3, 2],
    [4, 0, 5],
    [1, 3, 40],
  ])("%i before, %i after, every %i", (before, after, dilation) => {
    expectShows(dilatedWindow({ before, after, dilation }), (j, i) => {
      return (j - i) % dilation === 0 && (i - j) / dilation <= before && (j - i) / dilation <= after;
    });
  });

  test("a dilation for each head", () => {
    const dilations = [1, 3, 1];
    const pattern = dilatedHeads({ before: 2, after: 1, dilations });
    expectShows(pattern, (j, i, head) => {
      return (j - i) % dilations[head]! === 0 && i - j <= 2 * dilations[head]! && j - i <= dilations[head]!;
    });
    expect(pattern.heads![0]).toBe(pattern.heads![2]);
    expectCausal(dilatedHeads({ before: 2, after: 0, dilations }));
  });

  test("costs little more than a window where positions are rearranged", () => {
    const sizes = { queries: 2048, keys: 2048 };
    const plain = computedPairs(slidingWindow({ before: 32, after: 32 }), sizes);
    expect(computedPairs(dilatedWindow({ before: 32, after: 32, dilation: 4 }), sizes)).toBeLessThan(1.5 * plain);
  });

  test("refuses no distance", () => {
    expect(() => dilatedWindow({ before: 1, after: 1, dilation: 0 })).toThrow('"dilation", got 0');
  });
});
