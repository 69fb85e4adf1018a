import { expect, test } from "vitest";
import { plansOf } from "../../../src/attention/core/plan.ts";
import type { PatternEntry } from "../../../src/attention/patterns/index.ts";
import { headsOf } from "../../../src/attention/patterns/pattern.ts";
import { entryOf } from "../../../src/catalogue/catalogue-of.ts";
import { type PatternName, patterns } from "../../../src/catalogue/patterns.ts";
import { expectCausal, expectShows } from "./predicate.ts";

const entries: [string, PatternEntry][] = Object.entries(patterns);
const context = { heads: 4, layers: 3 };
const cases = entries.flatMap(([name, entry]) =>
  entry.directions.flatMap((direction) => [1, 63, 64].map((length) => [name, direction, length, entry] as const)),
);

test.each(cases)("%s, %s, length %i: well formed, causal where it says so", (_, direction, length, entry) => {
  const layers = entry.make({}, { ...context, length, causal: direction === "causal" });
  for (let layer = 0; layer < 3; layer++) {
    const pattern = layers(layer);
    expect(layers(layer)).toBe(pattern);
    const seen = headsOf(pattern).map((own) => Array.from({ length }, (_, i) => own.keys(i, length)));
    expectShows(
      pattern,
      (j, i, head) => seen[head]![i]!.some((from, at, runs) => at % 2 === 0 && j >= from && j < runs[at + 1]!),
      [length],
    );
    if (direction === "causal") expectCausal(pattern, length);
  }
});

test.each(entries)("%s: refuses unknown options and the wrong direction", (_, entry) => {
  const causal = entry.directions[0] === "causal";
  expect(() => entry.make({ nothing: 1 }, { ...context, length: 64, causal })).toThrow("nothing");
  if (entry.directions.length === 1) {
    expect(() => entry.make({}, { ...context, length: 64, causal: !causal })).toThrow("only, not");
  }
});

test.each<[PatternName, object, string, boolean]>([
  ["window", { after: 3 }, "see nothing after them", true],
  ["fixed", { ownPlaces: true, use: "heads" }, 'use "merged"', true],
  ["local-2d", { sequence: "raster" }, 'needs sequence "generated"', true],
  ["bigbird", { plan: "released", globals: 2 }, "leave globals away", false],
  ["longformer", { window: 5 }, "even window", false],
])("%s %j is refused", (name, options, words, causal) => {
  const make = () => entryOf<PatternEntry>(patterns, name).make(options, { ...context, length: 64, causal })(0);
  expect(make).toThrow(words);
});

test.each<[PatternName, object]>([
  ["window", { before: 1, after: 7 }],
  ["sinks", { sinks: 0, before: 3 }],
  ["dilated", { dilations: [1, 2, 3] }],
  ["strided", { use: "heads", reach: 8, stride: 8 }],
  ["strided", { use: "layers" }],
  ["fixed", { ownPlaces: true, summary: 2 }],
  ["fixed", { use: "heads", withFirst: true }],
  ["fixed", { use: "layers" }],
  [
    "blockwise",
    {
      permutations: [
        [0, 1, 2],
        [1, 2, 0],
      ],
    },
  ],
  ["blockwise", { blocks: 3, shifted: 4 }],
  ["local-2d", { columns: 4, queryBlock: [2, 2], flange: [1, 0], sequence: "generated" }],
  ["axial", { use: "merged" }],
  ["axial", { use: "heads", columns: 5 }],
  ["global", { positions: [9] }],
  ["longformer", { windows: [2, 8], globals: [3, 40], dilations: [1, 2], dilatedFrom: 1 }],
  ["etc", { globals: 2, radius: 3, segments: [0, 0, 1] }],
  ["bigbird", { plan: "released", block: 2, random: 2 }],
  ["bigbird", { globals: 2 }],
  ["bigbird", { blocks: [[[], [5]]] }],
])("%s %j makes a pattern", (name, options) => {
  const entry = entryOf<PatternEntry>(patterns, name);
  const causal = !entry.directions.includes("bidirectional");
  const layers = entry.make(options, { ...context, length: 64, causal });
  const pattern = layers(1);
  for (const own of headsOf(pattern)) {
    expect(plansOf(own, { queries: 64, keys: 64 }).length).toBe(own.parts?.length ?? 1);
    expect(own.keys(33, 64).length).toBeGreaterThan(0);
  }
});
