import { describe, expect, test } from "vitest";
import { bigbird, bigbirdExtended } from "../../../src/attention/patterns/bigbird.ts";
import { givenBlocks, uniformBlocks } from "../../../src/attention/patterns/bigbird-plan.ts";
import { releasedBlocks } from "../../../src/attention/patterns/bigbird-released-plan.ts";
import { numpyRandom } from "../../../src/attention/patterns/numpy-random.ts";
import { expectShows } from "./predicate.ts";

const drawn = (heads: number) => uniformBlocks({ random: 2, heads, seed: 3 });

describe.each([1, 2])("%i heads", (heads) => {
  test.each([1, 4, 7])(
    "first and last see all, the others their neighbours and what was drawn, blocks of %i",
    (block) => {
      const random = drawn(heads);
      const pattern = bigbird({ block, random, heads });
      for (const length of [1, 7, 63, 100]) {
        const last = Math.ceil(length / block) - 1;
        const table = random(last + 1);
        expectShows(
          pattern,
          (j, i, head) => {
            const [key, query] = [Math.floor(j / block), Math.floor(i / block)];
            const ends = [key, query].some((at) => at === 0 || at === last);
            return ends || Math.abs(key - query) <= 1 || table[head]![query]!.includes(key);
          },
          [length],
        );
      }
    },
  );

  test("extra global tokens", () => {
    const [globals, block] = [3, 5];
    const random = uniformBlocks({ random: 2, heads, seed: 4, globals: "none" });
    const pattern = bigbirdExtended({ globals, block, random, heads });
    for (const length of [1, 3, 63, 100]) {
      const table = random(Math.max(0, Math.ceil((length - globals) / block)));
      expectShows(
        pattern,
        (j, i, head) => {
          if (i < globals || j < globals) return true;
          const [key, query] = [j, i].map((at) => Math.floor((at - globals) / block)) as [number, number];
          return Math.abs(key - query) <= 1 || table[head]![query]!.includes(key);
        },
        [length],
      );
    }
  });
});

describe("drawn evenly", () => {
  const table = uniformBlocks({ random: 3, heads: 40, seed: 1 })(16);

  test("none is visible anyway, none is drawn twice, all are as likely", () => {
    const counts = new Map<number, number>();
    for (const head of table) {
      expect([head[0], head[15]]).toEqual([[], []]);
      head.slice(1, 15).forEach((row, i) => {
        expect(new Set(row).size).toBe(3);
        for (const block of row) {
          expect(Math.abs(block - (i + 1))).toBeGreaterThan(1);
          expect([0, 15]).not.toContain(block);
          counts.set(block, (counts.get(block) ?? 0) + 1);
        }
      });
    }
    // 40·14·3 = 1,680 draws of 14 blocks: 120 each, blocks at the edges a little more.
    expect(counts.size).toBe(14);
    for (const count of counts.values()) expect(Math.abs(count - 120)).toBeLessThan(45);
  });

  test("the seed decides", () => {
    expect(uniformBlocks({ random: 3, heads: 40, seed: 1 })(16)).toEqual(table);
    expect(uniformBlocks({ random: 3, heads: 40, seed: 2 })(16)).not.toEqual(table);
    expect(table[0]).not.toEqual(table[1]);
  });

  test("all that are left where there are fewer", () => {
    expect(uniformBlocks({ random: 3, heads: 1, seed: 1 })(6)[0]!.map((row) => [...row].sort())).toEqual([
      [],
      [3, 4],
      [4],
      [1],
      [1, 2],
      [],
    ]);
  });
});

test("a table of one's own", () => {
  const pattern = bigbird({ block: 10, random: givenBlocks([[[], [4], [], [], [], [], []]]), heads: 1 });
  expect(pattern.keys(15, 70)).toEqual([0, 30, 40, 50, 60, 70]);
});

// From transformers 5.18 (modeling_big_bird.py in training mode) and NumPy 2.4: the first rows of head 0, and all numbers
// head by head and row by row through hash = (31·hash + number) mod (2³¹ − 1).
const released: [length: number, block: number, random: number, heads: number, seed: number, number[][], number][] = [
  [
    1024,
    64,
    3,
    2,
    0,
    [
      [9, 14, 7],
      [9, 6, 7],
      [10, 5, 14],
      [6, 8, 12],
    ],
    1435856348,
  ],
  [
    3072,
    64,
    3,
    1,
    5,
    [
      [8, 4, 10],
      [10, 12, 6],
      [12, 8, 7],
      [1, 9, 12],
    ],
    944103283,
  ],
  [
    4096,
    64,
    3,
    2,
    11,
    [
      [9, 6, 11],
      [14, 11, 10],
      [14, 8, 5],
      [6, 2, 8],
    ],
    1185966664,
  ],
  [
    2048,
    64,
    3,
    2,
    1,
    [
      [3, 4, 6],
      [9, 5, 6],
      [7, 1, 5],
      [6, 1, 8],
    ],
    1134411460,
  ],
  [
    96,
    4,
    2,
    3,
    7,
    [
      [5, 3],
      [6, 5],
      [1, 5],
      [2, 7],
    ],
    1707256040,
  ],
  [
    1024,
    32,
    2,
    1,
    3,
    [
      [21, 20],
      [16, 25],
      [24, 22],
      [24, 9],
    ],
    309542142,
  ],
];

test.each(released)("blocks of the published models: length %i, blocks of %i, r %i, %i heads, seed %i", (...args) => {
  const [length, block, random, heads, seed, first, hash] = args;
  const blocks = length / block;
  const table = releasedBlocks({ block, random, heads, seed })(blocks);
  expect(table[0]!.slice(1, 5)).toEqual(first);
  const numbers = table.flatMap((rows) => rows.slice(1, blocks - 1)).flat();
  expect(numbers.reduce((sum, number) => (sum * 31 + number) % 2147483647, 0)).toBe(hash);
});

test("short sequences of the published models see everything", () => {
  const pattern = bigbird({ block: 4, random: releasedBlocks({ block: 4, random: 2, heads: 2, seed: 0 }), heads: 2 });
  expectShows(pattern, () => true, [1, 36]);
});

test("NumPy's shuffle", () => {
  const items = Array.from({ length: 10 }, (_, i) => i);
  expect(numpyRandom(42).permutation(items)).toEqual([8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
});
