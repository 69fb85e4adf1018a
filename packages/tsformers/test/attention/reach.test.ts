import { expect, test } from "vitest";
import { perHead, union } from "../../src/attention/patterns/combine.ts";
import { dilatedHeads, dilatedWindow } from "../../src/attention/patterns/dilated.ts";
import { fixed, fixedBlock, fixedSummary } from "../../src/attention/patterns/fixed.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import { local1d } from "../../src/attention/patterns/local-1d.ts";
import { causal, fullPattern, headsOf, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { reachOf } from "../../src/attention/patterns/reach.ts";
import { strided, stridedLocal } from "../../src/attention/patterns/strided.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { type PatternName, patterns } from "../../src/catalogue/patterns.ts";

const window = (before: number) => slidingWindow({ before, after: 0 });
const globals = (...positions: number[]) => globalTokens({ positions, causal: true });

test.each<[string, Pattern, number, ReturnType<typeof reachOf>]>([
  ["causal", causal, 500, { window: 499, pinned: [], isWindow: true }],
  ["causal by another name", { ...causal }, 500, { window: 499, pinned: [], isWindow: true }],
  ["a window", window(7), 500, { window: 7, pinned: [], isWindow: true }],
  ["a window longer than the sequence", window(70), 50, { window: 49, pinned: [], isWindow: true }],
  ["itself alone", window(0), 50, { window: 0, pinned: [], isWindow: true }],
  ["one position", window(7), 1, { window: 0, pinned: [], isWindow: true }],
  ["gaps", dilatedWindow({ before: 4, after: 0, dilation: 3 }), 500, { window: 12, pinned: [], isWindow: false }],
  ["equal heads", perHead([window(5), window(5)]), 500, { window: 5, pinned: [], isWindow: true }],
  ["heads", perHead([window(3), window(9)]), 500, { window: 9, pinned: [], isWindow: false }],
  ["blocks", fixedBlock({ stride: 8, causal: true }), 500, { window: 7, pinned: [], isWindow: false }],
  ["a block and the one before", local1d({ block: 8, causal: true }), 500, { window: 15, pinned: [], isWindow: false }],
  ["pinned", union(window(7), globals(0, 3)), 500, { window: 7, pinned: [0, 3], isWindow: false }],
  [
    "a global position that sees all",
    union(window(7), globals(20)),
    500,
    { window: 20, pinned: [20], isWindow: false },
  ],
  ["steps without end", strided({ stride: 8, causal: true }), 500, { window: 496, pinned: [], isWindow: false }],
  ["nothing", { name: "nothing", keys: () => [] }, 9, { window: 0, pinned: [], isWindow: false }],
  [
    "summaries",
    fixed({ stride: 50, causal: true, summary: 1 }),
    500,
    { window: 50, pinned: Array.from({ length: 8 }, (_, i) => 50 * i + 49), isWindow: false },
  ],
])("%s", (_, pattern, length, expected) => {
  expect(reachOf(pattern, length)).toEqual(expected);
});

const names = (Object.keys(patterns) as PatternName[]).filter((name) => patterns[name].directions.includes("causal"));

test.each(names)("%s: what a query sees is near or pinned, and no less is kept than that", async (name) => {
  const length = 200;
  const layers = patterns[name].make({}, { length, causal: true, heads: 4, layers: 2 });
  for (const pattern of [layers(0), layers(1)]) {
    const { window, pinned } = reachOf(pattern, length);
    let farthest = 0;
    for (let query = 0; query < length; query++) {
      for (const own of headsOf(pattern)) {
        const runs = own.keys(query, length);
        for (let i = 0; i < runs.length; i += 2) {
          for (let key = runs[i]!; key < runs[i + 1]!; key++) {
            if (pinned.includes(key)) continue;
            farthest = Math.max(farthest, query - key);
          }
        }
      }
    }
    expect(farthest).toBe(window);
  }
});

test("a pattern that looks ahead cannot decode", () => {
  expect(() => reachOf(fullPattern, 5)).toThrow("full: cannot decode, position 3 sees what comes after it");
  expect(() => reachOf(slidingWindow({ before: 2, after: 1 }), 5)).toThrow("position 3 sees what comes after it");
  expect(reachOf(stridedLocal({ stride: 4, causal: true }), 50).window).toBe(3);
  expect(reachOf(fixedSummary({ stride: 8, causal: true, summary: 8 }), 50).window).toBe(49);
  expect(reachOf(dilatedHeads({ before: 2, after: 0, dilations: [1, 4] }), 50).window).toBe(8);
});
