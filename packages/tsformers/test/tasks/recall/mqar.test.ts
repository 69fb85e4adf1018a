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
    { mixed: true },
  ];
  expect(new Set([{}, ...others].map(print)).size).toBe(8);
  expect(print({ length: 128 })).toBe(print({}));
});

describe("the published mix", () => {
  const options = { mixed: true, vocabulary: 1024 };
  const { next } = mqarTask(options).views;
  const sizeOf = ({ inputs, weights }: { inputs: readonly number[]; weights: readonly number[] }) =>
    `${inputs.length}, ${weights.filter((weight) => weight > 0).length}`;

  test("each batch is of one size, nine in a row of all sizes in proportion, each nine in another order", () => {
    const sizes = Array.from({ length: 27 }, (_, step) => {
      const rows = plainRows(next.trainBatch(step, 3));
      expect(next.lengths!.at(step)).toBe(rows[0]!.inputs.length);
      expect(new Set(rows.map(sizeOf)).size).toBe(1);
      return sizeOf(rows[0]!);
    });
    const nines = [0, 9, 18].map((from) => sizes.slice(from, from + 9));
    const published = mqarProtocol.train.flatMap(({ length, pairs, rows }) =>
      new Array<string>(rows / 20_000).fill(`${length}, ${pairs}`),
    );
    for (const nine of nines) expect(nine.toSorted()).toEqual(published.toSorted());
    expect(new Set(nines.map(String)).size).toBe(3);
    expect(next.lengths!.cycle.toSorted()).toEqual(published.map((size) => Number.parseInt(size, 10)).toSorted());
  });

  test("so many different rows as training has are shared out in proportion, each met once in an epoch", () => {
    const limited = mqarTask({ ...options, trainingRows: 36 }).views.next;
    const epoch = (first: number) =>
      Array.from({ length: 18 }, (_, i) => plainRows(limited.trainBatch(first + i, 2))).flat();
    const [one, two] = [epoch(0), epoch(18)];
    const keyOf = (rows: typeof one) => rows.map(({ inputs }) => inputs.join()).sort();
    expect(new Set(keyOf(one)).size).toBe(36);
    expect(keyOf(two)).toEqual(keyOf(one));
    const counts = mqarProtocol.train.map(
      ({ length, pairs }) => one.filter((row) => sizeOf(row) === `${length}, ${pairs}`).length,
    );
    expect(counts).toEqual([20, 4, 4, 4, 4]);
  });

  test("another seed draws other training rows, and the same for evaluation", () => {
    const other = mqarTask({ ...options, seed: 7 }).views.next;
    const firstEval = (view: typeof next) =>
      plainRows([...view.evalBatches("valid", { batchSize: 2, length: 64, limit: 32 })][0]!);
    expect(firstEval(other)).toEqual(firstEval(next));
    const inputs = (view: typeof next) => [1, 2, 3].map((step) => plainRows(view.trainBatch(step, 2))[0]!.inputs);
    expect(inputs(other)).not.toEqual(inputs(next));
    expect(inputs(mqarTask(options).views.next)).toEqual(inputs(next));
  });

  test("rows of different sizes do not begin alike", () => {
    const starts = Array.from({ length: 9 }, (_, step) => plainRows(next.trainBatch(step, 1))[0]!.inputs);
    expect(new Set(starts.map(([first, , second]) => `${first}, ${second}`)).size).toBe(9);
  });

  test("evaluation has the published pairs of each length, and is that of a task with these pairs", () => {
    for (const [length, pairs] of [
      [64, 16],
      [128, 32],
      [256, 64],
      [512, 128],
      [1024, 256],
    ] as const) {
      const given = { batchSize: 2, length, limit: pairs };
      const [own] = next.evalBatches("test", given);
      const [same] = mqarTask({ vocabulary: 1024, pairs }).views.next.evalBatches("test", given);
      expect(plainRows(own!)).toEqual(plainRows(same!));
    }
  });

  test("evaluation scores a thousand rows, all of each", () => {
    const scored = [...next.evalBatches("test", { batchSize: 256, length: 64 })]
      .flatMap((batch) => plainRows(batch))
      .map(({ weights }) => weights.filter((weight) => weight > 0).length)
      .filter((count) => count > 0);
    expect(scored).toEqual(new Array(1000).fill(16));
  });

  test("rows of a given length are made for measuring its cost", () => {
    for (const length of [64, 128, 256, 512]) expect(next.trainBatch(1, 2, length).inputs.shape).toEqual([2, length]);
  });

  test("what it does not have is refused in words", () => {
    expect(() => mqarTask({ mixed: true, pairs: 8 })).toThrow(
      "mqar: a mix has pairs of its own; leave pairs out, got 8",
    );
    expect(() => mqarTask({ mixed: true, length: 128 })).toThrow(
      "mqar: a mix has rows of up to 256 positions; leave length out, got 128",
    );
    expect(() => mqarTask({ mixed: true, vocabulary: 129 })).toThrow(
      "mqar: a mix has rows of 64 pairs, whose keys need a vocabulary of at least 130, got 129",
    );
    expect(mqarTask({ mixed: true, vocabulary: 130 }).length).toBe(256);
    expect(() => next.evalBatches("test", { batchSize: 1, length: 2048 })).toThrow(
      "mqar: the published mix is tested at lengths 64, 128, 256, 512, 1024, got 2048",
    );
    const small = mqarTask({ mixed: true, vocabulary: 256 }).views.next;
    expect(() => small.evalBatches("test", { batchSize: 1, length: 512 })).toThrow(
      "the keys of vocabulary 256, got 128",
    );
  });
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
