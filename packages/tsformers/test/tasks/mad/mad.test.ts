import { describe, expect, test } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { madCompressionTask } from "../../../src/tasks/mad/compression.ts";
import { madFuzzyRecallTask } from "../../../src/tasks/mad/fuzzy-recall.ts";
import { madMemorisationTask } from "../../../src/tasks/mad/memorisation.ts";
import { madNoisyRecallTask } from "../../../src/tasks/mad/noisy-recall.ts";
import { madCases, madProtocol } from "../../../src/tasks/mad/protocol.ts";
import { madRecallTask } from "../../../src/tasks/mad/recall.ts";
import { madSelectiveCopyTask } from "../../../src/tasks/mad/selective-copy.ts";
import type { Batch, TaskView } from "../../../src/tasks/task.ts";
import { evalRows, isNear, plainRows } from "../row-lists.ts";

/** Values of keys that came before, at those keys: for pairs of one token each, where everything from `noise` on is noise. */
function recalled(inputs: readonly number[], noise: number): (number | undefined)[] {
  const valueAt = new Map<number, number>();
  const expected = new Array<number | undefined>(inputs.length).fill(undefined);
  for (let t = 0; t + 1 < inputs.length; t += 2) {
    const [key, value] = [inputs[t]!, inputs[t + 1]!];
    if (key >= noise) continue;
    expected[t] = valueAt.get(key);
    // The value of the last pair is no input.
    if (t + 2 < inputs.length) valueAt.set(key, value);
  }
  return expected;
}

describe.each([
  ["mad-recall", madRecallTask(), 128, 8, 16, 0],
  ["mad-recall", madRecallTask({ vocabulary: 33 }), 50, 16, 33, 0],
  ["mad-noisy-recall", madNoisyRecallTask(), 128, 8, 16, 0.2],
  ["mad-noisy-recall", madNoisyRecallTask({ vocabulary: 48, noise: 0.8 }), 64, 16, 32, 0.8],
] as const)("%s", (_, task, length, keys, symbols, noise) => {
  test("evaluation scores the values of keys that came before, the last pair always, and nothing else", () => {
    for (const { inputs, expected } of evalRows(task.views.next, length, 20)) {
      // Rows of L tokens: the last one is a target only.
      expect(expected).toEqual([
        ...recalled(inputs.slice(0, length - 1).concat(0), symbols).slice(0, length - 1),
        undefined,
      ]);
      expect(expected[length - 2]).toBeDefined();
      expect(inputs[length - 1]).toBe(0);
    }
  });

  test("training scores every next token of the same kind of row", () => {
    for (const { inputs, targets, weights } of plainRows(task.views.next.trainBatch(2, 20, length))) {
      expect(weights).toEqual(inputs.map((_, t) => (t < length - 1 ? 1 : 0)));
      expect(targets.slice(0, length - 2)).toEqual(inputs.slice(1, length - 1));
      const valueAt = new Map<number, number>();
      const tokens = [...inputs.slice(0, length - 1), targets[length - 2]!];
      for (let t = 0; t < length; t += 2) {
        const [key, value] = [tokens[t]!, tokens[t + 1]!];
        if (key >= symbols) expect(value).toBeGreaterThanOrEqual(symbols);
        else {
          expect(key).toBeLessThan(keys);
          expect(value >= keys && value < symbols).toBe(true);
          expect(valueAt.get(key) ?? value).toBe(value);
          valueAt.set(key, value);
        }
      }
    }
  });

  test("keys, values and noise are as frequent as they should be", () => {
    const rows = plainRows(task.views.next.trainBatch(3, 200, length));
    // The last pair and, of the others, one are never noise.
    const firsts = rows.flatMap(({ inputs }) => inputs.filter((_, t) => t % 2 === 0 && t < length - 2));
    const pairs = length / 2 - 1;
    const noisy = firsts.filter((token) => token >= symbols).length;
    expect(isNear(noisy, (noise * (pairs - 1)) / pairs, firsts.length)).toBe(true);
    const keysSeen = firsts.filter((token) => token < symbols);
    for (let key = 0; key < keys; key++) {
      expect(isNear(keysSeen.filter((token) => token === key).length, 1 / keys, keysSeen.length), String(key)).toBe(
        true,
      );
    }
    const values = rows.map(({ inputs }) => inputs[1]!).filter((token) => token < symbols);
    for (let value = keys; value < symbols; value++) {
      const count = values.filter((token) => token === value).length;
      expect(isNear(count, 1 / (symbols - keys), values.length), String(value)).toBe(true);
    }
  });
});

describe("mad-fuzzy-recall", () => {
  const [keys, padding] = [7, 15];

  /** Words of a row: runs of keys, each followed by a run of values; padding is passed over. */
  function wordsOf(tokens: readonly number[]) {
    const words: { isKey: boolean; start: number; tokens: number[] }[] = [];
    tokens.forEach((token, start) => {
      if (token === padding) return;
      const isKey = token < keys;
      if (words.at(-1)?.isKey === isKey) words.at(-1)!.tokens.push(token);
      else words.push({ isKey, start, tokens: [token] });
    });
    return words;
  }

  const task = madFuzzyRecallTask();

  test.each([128, 19, 47])(
    "evaluation scores the whole values of keys of three tokens that came before: L = %i",
    (length) => {
      for (const { inputs, targets, weights, expected } of evalRows(task.views.next, length, 30)) {
        const tokens = [...inputs, targets.at(-1)!];
        const words = wordsOf(tokens);
        const known = new Map<string, number[]>();
        const answers = new Array<number | undefined>(length).fill(undefined);
        for (let w = 0; w < words.length; w += 2) {
          const [key, value] = [words[w]!, words[w + 1]!];
          expect([key.isKey, value.isKey, key.tokens.length]).toEqual([true, false, 3]);
          expect(new Set(key.tokens).size).toBe(3);
          expect(new Set(value.tokens).size).toBe(value.tokens.length);
          expect(value.tokens.length).toBeLessThanOrEqual(3);
          const before = known.get(key.tokens.join());
          if (before !== undefined) expect(value.tokens).toEqual(before);
          before?.forEach((token, at) => {
            answers[value.start + at - 1] = token;
          });
          known.set(key.tokens.join(), value.tokens);
        }
        expect(expected).toEqual(answers);
        expect(weights.at(-1)).toBe(1);
        // Padding stands on the left only.
        const first = tokens.findIndex((token) => token !== padding);
        expect(tokens.slice(first)).not.toContain(padding);
      }
    },
  );

  test("training scores every next token; keys have one to three tokens, each number as often", () => {
    const rows = plainRows(task.views.next.trainBatch(1, 100));
    const sizes = { key: [0, 0, 0], value: [0, 0, 0] };
    for (const { inputs, targets, weights } of rows) {
      expect(weights).toEqual(inputs.map(() => 1));
      expect(targets.slice(0, -1)).toEqual(inputs.slice(1));
      // Of the first word: later ones are more often those that were forced.
      const [key, value] = wordsOf(inputs);
      sizes.key[key!.tokens.length - 1]!++;
      sizes.value[value!.tokens.length - 1]!++;
    }
    for (const count of [...sizes.key, ...sizes.value]) expect(isNear(count, 1 / 3, rows.length)).toBe(true);
  });

  test("refuses what does not fit", () => {
    expect(() => task.views.next.trainBatch(0, 1, 18)).toThrow("need a length of at least 19, got 18");
    expect(() => madFuzzyRecallTask({ vocabulary: 6 })).toThrow("keyTokens must be an integer from 1 to 2");
  });
});

describe("mad-selective-copy", () => {
  test.each([
    [16, 16, 256],
    [32, 4, 9],
    [5, 3, 20],
  ])(
    "V = %i, %i tokens, L = %i: the tokens before the mark in their order, behind it",
    (vocabulary, tokens, length) => {
      const { next } = madSelectiveCopyTask({ vocabulary, tokens, length }).views;
      const [blank, mark] = [vocabulary - 2, vocabulary - 1];
      const rows = [...plainRows(next.trainBatch(1, 20)), ...evalRows(next, length, 20)];
      for (const { inputs, expected } of rows) {
        const at = inputs.indexOf(mark);
        expect(at).toBe(length - tokens - 1);
        expect(inputs.slice(at + 1)).toEqual(new Array(tokens).fill(blank));
        const copied = inputs.slice(0, at).filter((token) => token !== blank);
        expect(copied).toHaveLength(tokens);
        expect(expected).toEqual([...new Array(length - tokens).fill(undefined), ...copied]);
        // No blank is between the last token and the mark.
        expect(inputs[at - 1]).not.toBe(blank);
      }
    },
  );

  test("each blank is before any of the tokens with equal probability", () => {
    const { next } = madSelectiveCopyTask({ tokens: 3, length: 27 }).views;
    const rows = plainRows(next.trainBatch(1, 300));
    const blanks = [0, 0, 0];
    for (const { inputs } of rows) {
      let token = 0;
      for (const input of inputs.slice(0, 23)) {
        if (input === 14) blanks[token]!++;
        else token++;
      }
    }
    for (const count of blanks) expect(isNear(count, 1 / 3, 300 * 20)).toBe(true);
  });

  test("refuses rows that are too short", () => {
    const { next } = madSelectiveCopyTask({ tokens: 4 }).views;
    expect(() => next.trainBatch(0, 1, 8)).toThrow("4 tokens and their copies need a length of at least 9, got 8");
  });
});

test("mad-compression: random tokens and the mark, all to be given back", () => {
  const { reconstructed } = madCompressionTask().views;
  const rows = plainRows(reconstructed.trainBatch(1, 100));
  for (const { inputs, targets, weights } of rows) {
    expect(inputs).toHaveLength(32);
    expect(inputs.at(-1)).toBe(15);
    expect(Math.max(...inputs.slice(0, -1))).toBeLessThan(15);
    expect(targets).toEqual(inputs);
    expect(weights).toEqual(inputs.map(() => 1));
  }
  const tokens = rows.flatMap(({ inputs }) => inputs.slice(0, -1));
  for (let token = 0; token < 15; token++) {
    expect(isNear(tokens.filter((other) => other === token).length, 1 / 15, tokens.length), String(token)).toBe(true);
  }
  expect(evalRows(reconstructed, 64, 2)[1]!.inputs.indexOf(15)).toBe(63);
});

describe("mad-memorisation", () => {
  test("one map for training and evaluation, whatever the seed; no two keys have the same value", () => {
    const mapOf = (rows: ReturnType<typeof plainRows>, into = new Map<number, number>()) => {
      for (const { inputs, expected } of rows) {
        for (let t = 0; t < 32; t += 2) {
          expect(inputs[t + 1]).toBe(255);
          expect(expected[t]).toBeUndefined();
          const value = expected[t + 1]!;
          expect(into.get(inputs[t]!) ?? value).toBe(value);
          into.set(inputs[t]!, value);
        }
      }
      return into;
    };
    const map = mapOf(plainRows(madMemorisationTask().views.next.trainBatch(0, 128)));
    expect(map.size).toBe(127);
    expect([Math.min(...map.keys()), Math.max(...map.keys())]).toEqual([0, 126]);
    expect(new Set(map.values()).size).toBe(127);
    for (const value of map.values()) expect(value >= 127 && value < 255).toBe(true);
    // The map is no shift of the keys.
    expect(new Set([...map].map(([key, value]) => value - key)).size).toBeGreaterThan(50);
    const other = madMemorisationTask({ seed: 9 }).views.next;
    mapOf([...plainRows(other.trainBatch(3, 64)), ...evalRows(other, 32, 64)], map);
  });

  test("an odd length leaves its last place empty", () => {
    const [row] = plainRows(madMemorisationTask().views.next.trainBatch(1, 1, 7));
    expect(row!.weights).toEqual([0, 1, 0, 1, 0, 1, 0]);
  });
});

test("each task has as many training rows as it says, again and again", () => {
  const { next } = madRecallTask({ trainingRows: 6, length: 16 }).views;
  const names = (step: number) => plainRows(next.trainBatch(step, 6)).map(({ inputs }) => inputs.join());
  expect(new Set([0, 1, 2].flatMap(names)).size).toBe(6);
});

describe("an evaluation", () => {
  const scoredRows = (view: TaskView<Batch>, options: { length: number; limit?: number }) =>
    [...view.evalBatches("test", { batchSize: 500, ...options })]
      .flatMap((batch) => plainRows(batch))
      .map(({ weights }) => weights.filter((weight) => weight > 0).length)
      .filter((count) => count > 0);

  test.each(Object.keys(madProtocol.tasks))("of %s scores all of 1,280 rows, at any length", async (name) => {
    const { views, length } = await createTask(name);
    const view = (views.next ?? views.reconstructed) as TaskView<Batch>;
    for (const at of [length / 2, length]) expect(scoredRows(view, { length: at })).toHaveLength(1280);
  });

  test("of another number of positions scores exactly these", () => {
    const counts = scoredRows(madMemorisationTask().views.next, { length: 32, limit: 100 });
    expect(counts).toEqual([16, 16, 16, 16, 16, 16, 4]);
  });
});

describe("the protocol", () => {
  const cases = madCases();

  test("has the 66 settings of the paper, 396 runs with its grid", () => {
    const perTask = Object.keys(madProtocol.tasks).map((name) => cases.filter(({ task }) => task === name).length);
    expect(perTask).toEqual([11, 11, 14, 13, 11, 6]);
    expect(cases.length * madProtocol.learningRates.length * madProtocol.weightDecays.length).toBe(396);
  });

  test.each(cases.map((one) => [one.task, one.varied ?? "base", one] as const))(
    "%s, %s: can be made",
    async (_, __, one) => {
      const task = await createTask(one.task, one.settings);
      const view = (task.views.next ?? task.views.reconstructed) as TaskView<Batch>;
      const [row] = plainRows(view.trainBatch(0, 1));
      expect(row!.inputs).toHaveLength(one.settings.length!);
      expect(task.vocabularySize).toBe(one.settings.vocabulary);
    },
  );

  test("its base is what the tasks do by default", async () => {
    for (const { task, varied, settings } of cases) {
      const [made, usual] = [await createTask(task, settings), await createTask(task)];
      if (varied === undefined) expect([made.fingerprint, made.length]).toEqual([usual.fingerprint, usual.length]);
      else expect([made.fingerprint, made.length]).not.toEqual([usual.fingerprint, usual.length]);
    }
  });
});
