import { describe, expect, test } from "vitest";
import { computedPairs } from "../../../src/attention/core/plan.ts";
import { etc } from "../../../src/attention/patterns/etc.ts";
import { globalTokens } from "../../../src/attention/patterns/global.ts";
import { longformer, longformerLayers } from "../../../src/attention/patterns/longformer.ts";
import { expectCausal, expectShows } from "./predicate.ts";

describe.each([[[0]], [[]], [[5, 0, 5, 6]], [[62, 99, 2]]])("global tokens %j", (positions) => {
  const touches = (j: number, i: number) => positions.includes(i) || positions.includes(j);

  test("see all and are seen by all", () => {
    expectShows(globalTokens({ positions, causal: false }), touches);
    expectShows(globalTokens({ positions, causal: true }), (j, i) => touches(j, i) && j <= i);
    expectCausal(globalTokens({ positions, causal: true }));
  });

  test.each([[[1]], [[1, 3]]])("Longformer with dilations %j", (dilations) => {
    const near = (j: number, i: number, head: number) =>
      (i - j) % dilations[head]! === 0 && Math.abs(i - j) <= 3 * dilations[head]!;
    expectShows(
      longformer({ window: 6, globals: positions, dilations, causal: false }),
      (j, i, head) => near(j, i, head) || touches(j, i),
    );
    const causal = longformer({ window: 3, globals: positions, dilations, causal: true });
    expectShows(causal, (j, i, head) => j <= i && (near(j, i, head) || touches(j, i)));
    expectCausal(causal);
  });
});

test("Longformer's windows differ by layer, and gaps begin where told", () => {
  const layers = longformerLayers({ windows: [2, 4], dilations: [1, 2], dilatedFrom: 2, globals: [0], causal: false });
  expectShows(layers(0), (j, i) => Math.abs(i - j) <= 1 || j === 0 || i === 0);
  expectShows(layers(1), (j, i) => Math.abs(i - j) <= 2 || j === 0 || i === 0);
  expect(layers(2).heads).toHaveLength(2);
  expect(layers(3)).toBe(layers(2));
  expect(() => longformer({ window: 3, globals: [], causal: false })).toThrow("even window");
});

test("scattered globals cost no more than those in front", () => {
  const sizes = { queries: 2048, keys: 2048 };
  const front = longformer({ window: 128, globals: [0, 1, 2, 3], causal: false });
  const scattered = longformer({ window: 128, globals: [100, 700, 1300, 1900], causal: false });
  expect(computedPairs(scattered, sizes)).toBeLessThan(1.3 * computedPairs(front, sizes));
});

describe("ETC", () => {
  test.each([
    [0, 3],
    [4, 0],
    [5, 9],
    [200, 1],
  ])("%i global, radius %i", (globals, radius) => {
    expectShows(etc({ globals, radius }), (j, i) => i < globals || j < globals || Math.abs(i - j) <= radius);
  });

  test("global tokens see their own segment", () => {
    const segments = Array.from({ length: 97 }, (_, long) => (long * 7) % 5);
    expectShows(etc({ globals: 3, radius: 2, segments }), (j, i) => {
      if (j < 3) return true;
      return i < 3 ? segments[j - 3] === i : Math.abs(i - j) <= 2;
    });
  });
});
