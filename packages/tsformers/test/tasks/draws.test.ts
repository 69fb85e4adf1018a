import { randomKey } from "@tsformers/engine";
import { expect, test } from "vitest";
import { distinct, draws, happens, weightedDistinct } from "../../src/tasks/draws.ts";
import { generatedRows } from "../../src/tasks/rows.ts";
import { isNear } from "./row-lists.ts";

const many = 20_000;

test("draws are a function of the key, and each number is as likely as the others", () => {
  const [draw, same, other] = [draws(randomKey(1)), draws(randomKey(1)), draws(randomKey(2))];
  const numbers = Array.from({ length: many }, () => draw(7));
  expect(Array.from({ length: many }, () => same(7))).toEqual(numbers);
  expect(Array.from({ length: many }, () => other(7))).not.toEqual(numbers);
  for (let n = 0; n < 7; n++) expect(isNear(numbers.filter((x) => x === n).length, 1 / 7, many), String(n)).toBe(true);
  const pairs = numbers.filter((x, i) => x === 3 && numbers[i + 1] === 3).length;
  expect(isNear(pairs, 1 / 49, many)).toBe(true);
});

test("something happens as often as its probability says, never at 0", () => {
  const draw = draws(randomKey(3));
  const count = (probability: number) =>
    Array.from({ length: many }, () => happens(draw, probability)).filter(Boolean).length;
  expect(isNear(count(0.2), 0.2, many)).toBe(true);
  expect(count(0)).toBe(0);
  expect(count(1)).toBe(many);
});

test("distinct numbers are different, and every order of them is as likely", () => {
  const draw = draws(randomKey(4));
  const seen = new Map<string, number>();
  for (let i = 0; i < many; i++) {
    const name = distinct(draw, 2, 4).join();
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  expect(seen.size).toBe(12);
  for (const [name, count] of seen) expect(isNear(count, 1 / 12, many), name).toBe(true);
  expect(distinct(draw, 50, 50).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
});

test("weighted numbers are drawn one after another in proportion to the weights of those left", () => {
  const draw = draws(randomKey(5));
  const weights = [5, 3, 2];
  const seen = new Map<string, number>();
  for (let i = 0; i < many; i++) {
    const name = weightedDistinct(draw, 2, weights).join();
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  for (const a of [0, 1, 2]) {
    for (const b of [0, 1, 2].filter((b) => b !== a)) {
      const probability = ((weights[a]! / 10) * weights[b]!) / (10 - weights[a]!);
      expect(isNear(seen.get(`${a},${b}`) ?? 0, probability, many), `${a},${b}`).toBe(true);
    }
  }
});

test("a limited number of training rows comes again in each epoch, in another order, whatever the batch size", () => {
  const source = generatedRows((key) => draws(key)(2 ** 30), { seed: 1, trainingRows: 10 });
  const epoch = (n: number, batchSize: number) =>
    Array.from({ length: 10 }, (_, i) => {
      const position = 10 * n + i;
      return source.train({ step: Math.floor(position / batchSize), batchSize, index: position % batchSize }, 5);
    });
  const sorted = (rows: number[]) => rows.toSorted((a, b) => a - b);
  const first = epoch(0, 4);
  expect(new Set(first).size).toBe(10);
  expect(sorted(epoch(1, 4))).toEqual(sorted(first));
  expect(epoch(1, 4)).not.toEqual(first);
  expect(epoch(0, 3)).toEqual(first);
});
