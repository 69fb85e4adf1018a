import { randomKey } from "@tsformers/engine";
import { expect, test } from "vitest";
import { checkSampling, LogitsError, mostLikely, sample } from "../../src/generate/sampling.ts";

const key = randomKey(1);
const logits = [0, 3, 1, 2].map((x) => Math.log(x + 1));
const draws = (options: Parameters<typeof sample>[1], count = 4000): number[] => {
  const counts = [0, 0, 0, 0];
  for (let step = 0; step < count; step++) counts[sample(logits, options, key, step)]!++;
  return counts.map((n) => n / count);
};

test("tokens come as often as their probability says", () => {
  for (const [token, share] of draws({}).entries()) expect(share).toBeCloseTo([0.1, 0.4, 0.2, 0.3][token]!, 1);
});

test("temperature sharpens, and 0 takes the most likely", () => {
  const [a, b, c, d] = draws({ temperature: 0.5 }) as [number, number, number, number];
  for (const off of [a - 1 / 30, b - 16 / 30, c - 4 / 30, d - 9 / 30]) expect(Math.abs(off)).toBeLessThan(0.03);
  expect(draws({ temperature: 0 })).toEqual([0, 1, 0, 0]);
});

test("top-k leaves the k most likely, in proportion", () => {
  const [a, b, c, d] = draws({ topK: 2 }) as [number, number, number, number];
  expect(a + c).toBe(0);
  expect(b).toBeCloseTo(4 / 7, 1);
  expect(d).toBeCloseTo(3 / 7, 1);
});

test("top-p leaves the fewest tokens that reach the share", () => {
  expect(draws({ topP: 0.39 })).toEqual([0, 1, 0, 0]);
  expect(draws({ topP: 0.69 }).map((share) => share > 0)).toEqual([false, true, false, true]);
  expect(draws({ topP: 0.71 }).map((share) => share > 0)).toEqual([false, true, true, true]);
});

test("of equal logits the first wins", () => {
  expect(mostLikely([1, 5, 5])).toBe(1);
});

test("senseless options are refused", () => {
  expect(() => checkSampling({ temperature: -1 })).toThrow("temperature");
  expect(() => checkSampling({ topK: 0 })).toThrow("topK");
  expect(() => checkSampling({ topP: 0 })).toThrow("topP");
  expect(() => checkSampling({ topP: Number.NaN })).toThrow("topP");
});

const ways: Parameters<typeof sample>[1][] = [{ temperature: 0 }, {}, { topK: 1 }, { topK: 2 }, { topP: 0.5 }];

test.each(ways)("NaN and +∞ are errors that name the token, wherever they stand: %j", (options) => {
  for (const [bad, name] of [
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
  ] as const) {
    for (let at = 0; at < 3; at++) {
      const broken = [1, 2, 3].map((x, token) => (token === at ? bad : x));
      const problem = `not finite (${name} for token ${at})`;
      expect(() => sample(broken, options, key, 7)).toThrow(LogitsError);
      expect(() => sample(broken, options, key, 7)).toThrow(`sample: step 7: the model's logits are ${problem}`);
      expect(() => mostLikely(broken)).toThrow(problem);
    }
  }
});

const hidden = Number.NEGATIVE_INFINITY;

test.each(ways)("tokens that are hidden or forbidden are never taken, and there must be others: %j", (options) => {
  const logits = [hidden, 9, 1, hidden, 0];
  for (let step = 0; step < 200; step++) {
    expect([2, 4]).toContain(sample(logits, { ...options, forbiddenTokens: [1] }, key, step));
    expect(sample([hidden, hidden, -1000, 1000], { ...options, forbiddenTokens: [3] }, key, step)).toBe(2);
  }
  expect(() => sample([hidden, hidden], options, key, 0)).toThrow("no token is left to take");
  expect(() => sample([hidden, 1], { ...options, forbiddenTokens: [1] }, key, 0)).toThrow("no token is left to take");
});
