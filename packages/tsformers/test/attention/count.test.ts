import { describe, expect, test } from "vitest";
import { blockwise } from "../../src/attention/patterns/blockwise.ts";
import { intersection, perHead, union } from "../../src/attention/patterns/combine.ts";
import { attentionFlops, countPattern, receptiveFields } from "../../src/attention/patterns/count.ts";
import { longformer } from "../../src/attention/patterns/longformer.ts";
import { causal, denseMask, fullPattern, headsOf, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { stridedHeads, stridedLayers } from "../../src/attention/patterns/strided.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";

const two = slidingWindow({ before: 2, after: 0 });
const nothing: Pattern = { name: "nothing", keys: () => [] };
const patterns: [string, (layer: number) => Pattern][] = [
  ["full", () => fullPattern],
  ["causal", () => causal],
  ["a window", () => two],
  ["nothing", () => nothing],
  ["blocks", () => blockwise([1, 2, 0])],
  ["Longformer", () => longformer({ window: 4, globals: [3], causal: false })],
  ["heads", () => stridedHeads({ stride: 5, causal: true })],
  ["layers", stridedLayers({ stride: 6, causal: true })],
  ["a union", () => union(two, slidingWindow({ before: 0, after: 1 }))],
];

describe.each(patterns)("%s", (_, patternOf) => {
  test.each([1, 2, 31, 33, 70])("pairs and density at length %i are those of the mask", (length) => {
    const pattern = patternOf(0);
    const heads = headsOf(pattern).length;
    const shown = denseMask(pattern, length).toNumbers();
    const counted = countPattern(pattern, length);
    const total = shown.reduce((a, b) => a + b, 0);
    expect(counted.pairs).toBeCloseTo(total / heads, 9);
    expect(counted.density).toBeCloseTo(total / shown.length, 12);
    counted.pairsOfHeads.forEach((pairs, head) => {
      const own = shown.slice(head * length * length, (head + 1) * length * length);
      expect(pairs).toBe(own.reduce((a, b) => a + b, 0));
    });
  });

  test.each([1, 2, 31, 33, 70])("receptive fields at length %i are products of masks", (length) => {
    const fields = receptiveFields(patternOf, { length, layers: 4 });
    // reached[i][j] after a layer: through itself, or through any key that any head sees.
    let reached = square(length, (i, j) => i === j);
    fields.forEach(({ reached: found, least, mean, most, last }, layer) => {
      const masks = headsOf(patternOf(layer)).map((own) => denseMask(own, length).toNumbers());
      const before = reached;
      reached = square(length, (i, j) => {
        if (before[i]![j]) return true;
        for (let k = 0; k < length; k++) {
          if (before[k]![j] && masks.some((mask) => mask[i * length + k] === 1)) return true;
        }
        return false;
      });
      const sizes = reached.map((row) => row.filter(Boolean).length);
      expect([...found]).toEqual(sizes);
      expect([least, most, last]).toEqual([Math.min(...sizes), Math.max(...sizes), sizes.at(-1)]);
      expect(mean).toBeCloseTo(sizes.reduce((a, b) => a + b, 0) / length, 9);
    });
  });
});

function square(length: number, of: (i: number, j: number) => boolean): boolean[][] {
  return Array.from({ length }, (_, i) => Array.from({ length }, (_, j) => of(i, j)));
}

test("windows reach one window further with each layer, pairs of fixed patterns all after two", () => {
  const last = (patternOf: (layer: number) => Pattern) =>
    receptiveFields(patternOf, { length: 500, layers: 3 }).map(({ last }) => last);
  expect(last(() => two)).toEqual([3, 5, 7]);
  expect(last(stridedLayers({ stride: 20, causal: true }))).toEqual([20, 500, 500]);
});

test("queries may be fewer than keys", () => {
  expect(countPattern(fullPattern, 3, 7)).toEqual({ pairs: 21, pairsOfHeads: [21], density: 1 });
});

test("operations: four for each pair and feature of each head, heads repeating", () => {
  const counted = countPattern(perHead([fullPattern, intersection(fullPattern, causal)]), 10);
  expect(counted.pairsOfHeads).toEqual([100, 55]);
  expect(attentionFlops(counted, { heads: 3, headWidth: 8 })).toBe(4 * 8 * (100 + 55 + 100));
  // By hand: logits of 10 × 10 pairs take 8 products and 8 additions each, weighted sums as many.
  expect(attentionFlops(countPattern(fullPattern, 10), { heads: 1, headWidth: 8 })).toBe(2 * (100 * 16));
});

test("thousands of positions are counted in seconds", () => {
  const pattern = longformer({ window: 512, globals: [0], causal: false });
  const start = performance.now();
  const [field] = receptiveFields(() => pattern, { length: 8192, layers: 1 });
  expect(field!.reached[4000]).toBe(514);
  expect(performance.now() - start).toBeLessThan(4000);
});
