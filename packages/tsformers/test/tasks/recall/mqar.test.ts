import { describe, expect, test } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { mqarTask } from "../../../src/tasks/recall/mqar.ts";
import { mqarProtocol } from "../../../src/tasks/recall/mqar-protocol.ts";
import { isNear, plainRows } from "../row-lists.ts";

/** What a row must be, read off its inputs alone, given N: where its keys come again, and which values belong there. */
function questions(inputs: readonly number[], pairs: number, weights: readonly number[]): Map<number, number> {
  const asked = new Map<number, number>();
  weights.forEach((weight, t) => {
    if (weight === 0) return;
    const pair = inputs.slice(0, 2 * pairs).findIndex((token, at) => at % 2 === 0 && token === inputs[t]);
    asked.set(t, inputs[pair + 1]!);
  });
  return asked;
}

describe.each([
  [64, 4, 8192, true],
  [64, 16, 8192, true],
  [33, 8, 64, true],
  [40, 3, 20, false],
  [256, 64, 8192, false],
] as const)("L = %i, N = %i, V = %i, random non-queries %s", (length, pairs, vocabulary, randomNonQueries) => {
  const task = mqarTask({ length, pairs, vocabulary, randomNonQueries });
  const half = vocabulary / 2;
  const rows = plainRows(task.views.next.trainBatch(3, 20));

  test("begins with distinct keys and distinct values of their halves of the vocabulary", () => {
    for (const { inputs } of rows) {
      const [keys, values] = [0, 1].map((odd) => inputs.slice(0, 2 * pairs).filter((_, t) => t % 2 === odd));
      for (const list of [keys!, values!]) expect(new Set(list).size).toBe(pairs);
      for (const key of keys!) expect(key >= 1 && key < half).toBe(true);
      for (const value of values!) expect(value >= half && value < vocabulary).toBe(true);
    }
  });

  test("asks for each key once, at an even distance behind the pairs, and scores its value there and nowhere else", () => {
    for (const { inputs, weights, expected } of rows) {
      const asked = questions(inputs, pairs, weights);
      expect(asked.size).toBe(pairs);
      expect(expected).toEqual(inputs.map((_, t) => asked.get(t)));
      const places = [...asked.keys()];
      for (const place of places) expect(place >= 2 * pairs && place % 2 === 0).toBe(true);
      expect(new Set(places.map((place) => inputs[place])).size).toBe(pairs);
    }
  });

  test("holds random tokens of the whole vocabulary elsewhere, or zeros", () => {
    const others = rows.flatMap(({ inputs, weights }) => inputs.filter((_, t) => t >= 2 * pairs && weights[t] === 0));
    if (!randomNonQueries) return void expect(new Set(others)).toEqual(new Set([0]));
    const low = others.filter((token) => token < half).length;
    expect(isNear(low, 0.5, others.length)).toBe(true);
    expect(new Set(others).size).toBeGreaterThan(Math.min(vocabulary / 2, others.length / 3));
  });
});

test("gaps follow the power law: p(x) ∝ a·x^(a−1) for the first drawn", () => {
  // With one pair there is one draw, so that its distribution is p itself.
  const task = mqarTask({ length: 42, pairs: 1, vocabulary: 64 });
  const gaps = [1, 2, 3, 4]
    .flatMap((step) => plainRows(task.views.next.trainBatch(step, 1000)))
    .map(({ weights }) => (weights.indexOf(1) - 2) / 2);
  const a = 0.01;
  const p = Array.from({ length: 20 }, (_, g) => a * (g + 1) ** (a - 1));
  const total = p.reduce((sum, value) => sum + value, 0);
  p.forEach((value, g) => {
    const count = gaps.filter((gap) => gap === g).length;
    expect(isNear(count, value / total, gaps.length), `gap ${g}: ${count}`).toBe(true);
  });
});

test("of several pairs, the gaps are drawn one after another without replacement", () => {
  const task = mqarTask({ length: 12, pairs: 2, vocabulary: 64 });
  const rows = [1, 2, 3].flatMap((step) => plainRows(task.views.next.trainBatch(step, 1000)));
  const gaps = rows.map(({ inputs, targets, weights }) =>
    [0, 1].map((pair) => (weights.findIndex((weight, t) => weight > 0 && targets[t] === inputs[2 * pair + 1]) - 4) / 2),
  );
  const w = [1, 2, 3, 4].map((x) => x ** (0.01 - 1));
  const total = w.reduce((sum, value) => sum + value, 0);
  for (const a of [0, 1, 2, 3]) {
    for (const b of [0, 1, 2, 3].filter((b) => b !== a)) {
      const probability = ((w[a]! / total) * w[b]!) / (total - w[a]!);
      const count = gaps.filter(([first, second]) => first === a && second === b).length;
      expect(isNear(count, probability, rows.length), `${a}, ${b}: ${count}`).toBe(true);
    }
  }
});

test("refuses rows that are too short and more pairs than keys, naming both numbers", async () => {
  const { next } = mqarTask({ pairs: 16 }).views;
  expect(() => next.trainBatch(1, 1, 63)).toThrow(
    "mqar: 16 pairs and their questions need a length of at least 64, got 63",
  );
  expect(() => next.evalBatches("test", { batchSize: 1, length: 60 })).toThrow(RangeError);
  expect(() => mqarTask({ vocabulary: 16, pairs: 8 })).toThrow("pairs must be an integer from 1 to 7");
  await expect(createTask("mqar", { powerLaw: 0 })).rejects.toThrow(/"powerLaw"/);
});

test("the fingerprint tells rows apart, and not lengths", () => {
  const print = (options: Parameters<typeof mqarTask>[0]) => mqarTask(options).fingerprint;
  const others = [
    { vocabulary: 64 },
    { pairs: 2 },
    { randomNonQueries: false },
    { powerLaw: 1 },
    { trainingRows: 5 },
    { seed: 1 },
  ];
  expect(new Set([{}, ...others].map(print)).size).toBe(7);
  expect(print({ length: 128 })).toBe(print({}));
});

test("every size of the protocol can be made", () => {
  const { vocabulary, train, test } = mqarProtocol;
  for (const { length, pairs, rows } of [...train, ...test]) {
    const task = mqarTask({ vocabulary, length, pairs, trainingRows: rows });
    const [row] = plainRows(task.views.next.trainBatch(0, 1));
    expect(row!.expected.filter((target) => target !== undefined)).toHaveLength(pairs);
  }
  expect(mqarProtocol.learningRates.map((rate) => Math.log10(rate))).toEqual([-3, -2.5, -2, -1.5]);
});
