import { fromNumbers, type NDArray } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { maskedView } from "../../src/tasks/masked.ts";
import type { Batch, TaskView } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

const [V, rows, length] = [50, 64, 200];

/** Rows in which token t stands at place t modulo the vocabulary; the last ones of each row do not count. */
const plain = (unscored: number): TaskView<Batch> => {
  const batch = (batchSize: number, length: number): Batch => {
    const places = Array.from({ length: batchSize * length }, (_, i) => i % length);
    const whole = (values: number[], dtype: "int32" | "float32") => fromNumbers(values, [batchSize, length], dtype);
    return {
      inputs: whole(
        places.map((t) => t % V),
        "int32",
      ),
      targets: whole(
        places.map((t) => (t + 1) % V),
        "int32",
      ),
      weights: whole(
        places.map((t) => (t < length - unscored ? 1 : 0)),
        "float32",
      ),
    };
  };
  return {
    trainBatch: (_, batchSize, length = 200) => batch(batchSize, length),
    evalBatches: (_, { batchSize, length }) => [batch(batchSize, length), batch(batchSize, length)],
  };
};

const values = (array: NDArray): number[] => array.toNumbers();

/** Places that are predicted, with what is shown there and what was. */
function predicted({ inputs, targets, weights }: Batch): { shown: number; was: number; place: number }[] {
  const [shown, was, counted] = [values(inputs), values(targets), values(weights)];
  return shown.flatMap((token, place) => (counted[place]! > 0 ? [{ shown: token, was: was[place]!, place }] : []));
}

/** How far a count of `of` draws with this probability may be off: five standard deviations. */
const spread = (probability: number, of: number) => 5 * Math.sqrt(of * probability * (1 - probability));

describe("a masked view", () => {
  const view = maskedView(plain(0), { vocabularySize: V });
  const batches = [1, 2, 3, 4].map((step) => view.trainBatch(step, rows, length));
  const all = batches.flatMap(predicted);

  test("has one token more, which stands for hidden ones", () => {
    expect(view.vocabularySize).toBe(V + 1);
    const shown = new Set(batches.flatMap(({ inputs }) => values(inputs)));
    expect(Math.max(...shown)).toBe(V);
    expect(Math.max(...batches.flatMap(({ targets }) => values(targets)))).toBe(V - 1);
  });

  test("predicts 15 % of the tokens, and of these hides 80 %, changes 10 %, keeps 10 %", () => {
    const tokens = 4 * rows * length;
    expect(Math.abs(all.length - 0.15 * tokens)).toBeLessThan(spread(0.15, tokens));
    const hidden = all.filter(({ shown }) => shown === V).length;
    // Of those that are changed to any token, one in V is changed to itself.
    const kept = all.filter(({ shown, was }) => shown === was).length;
    const others = all.length - hidden - kept;
    expect(Math.abs(hidden - 0.8 * all.length)).toBeLessThan(spread(0.8, all.length));
    expect(Math.abs(kept - (0.1 + 0.1 / V) * all.length)).toBeLessThan(spread(0.1, all.length));
    expect(Math.abs(others - (0.1 - 0.1 / V) * all.length)).toBeLessThan(spread(0.1, all.length));
  });

  test("asks an evaluation the same, whatever the size of its batches", () => {
    const task = textTask({
      text: "to be or not to be, that is the question\n".repeat(200),
      tokenizer: characterTokenizer,
    });
    const asked = (batchSize: number) =>
      [...task.views.masked.evalBatches("test", { batchSize, length: 20, limit: 400 })].flatMap((batch) =>
        predicted(batch).map(({ shown, was }) => [shown, was]),
      );
    expect(asked(8)).toEqual(asked(3));
    expect(asked(3).length).toBeGreaterThan(40);
  });

  test("takes any token in place of a changed one, whatever it was", () => {
    const changes = all.filter(({ shown, was }) => shown !== was && shown !== V);
    const seen = new Set(changes.map(({ shown }) => shown));
    expect(seen.size).toBe(V);
  });

  test("asks for what was there, and leaves all else as it is", () => {
    for (const batch of batches) {
      const [shown, was, weights] = [values(batch.inputs), values(batch.targets), values(batch.weights)];
      expect(was).toEqual(was.map((_, i) => (i % length) % V));
      expect(shown.filter((token, i) => weights[i] === 0 && token !== was[i])).toEqual([]);
    }
  });

  test("hides other places in each step and row, the same ones for the same step and seed", () => {
    const places = (batch: Batch) => predicted(batch).map(({ place }) => place);
    expect(places(batches[0]!)).not.toEqual(places(batches[1]!));
    const byRow = Array.from({ length: rows }, (_, row) =>
      places(batches[0]!)
        .filter((place) => Math.floor(place / length) === row)
        .map((place) => place % length)
        .join(),
    );
    expect(new Set(byRow).size).toBe(rows);
    const again = maskedView(plain(0), { vocabularySize: V });
    again.trainBatch(7, 3, 11);
    expect(again.trainBatch(2, rows, length)).toEqual(batches[1]);
    const seeded = maskedView(plain(0), { vocabularySize: V, seed: 1 });
    expect(seeded.trainBatch(2, rows, length)).not.toEqual(batches[1]);
  });

  test.each([0.02, 0.5, 1])("predicts another share: %d", (share) => {
    const found = predicted(maskedView(plain(0), { vocabularySize: V, share }).trainBatch(1, rows, length));
    const tokens = rows * length;
    expect(Math.abs(found.length - share * tokens)).toBeLessThanOrEqual(spread(share, tokens));
  });

  test("predicts at least one token of every row that has any, and none that does not count", () => {
    const short = maskedView(plain(3), { vocabularySize: V }).trainBatch(1, 400, 5);
    const weights = values(short.weights);
    for (let row = 0; row < 400; row++) {
      const own = weights.slice(5 * row, 5 * row + 5);
      expect(own[0]! + own[1]!).toBeGreaterThanOrEqual(1);
      expect(own.slice(2)).toEqual([0, 0, 0]);
    }
    expect(values(maskedView(plain(5), { vocabularySize: V }).trainBatch(1, 4, 5).weights)).toEqual(
      new Array(20).fill(0),
    );
  });

  test("is evaluated on the same hidden tokens under every seed, others in each batch and split", () => {
    const options = { batchSize: 8, length: 40 };
    const [a, b] = [0, 9].map((seed) => maskedView(plain(0), { vocabularySize: V, seed }));
    const batches = a!.evalBatches("valid", options);
    expect([...batches]).toEqual([...batches]);
    expect([...b!.evalBatches("valid", options)]).toEqual([...batches]);
    const [first, second] = [...batches];
    expect(values(first!.inputs)).not.toEqual(values(second!.inputs));
    const [other] = a!.evalBatches("test", options);
    expect(values(other!.inputs)).not.toEqual(values(first!.inputs));
  });
});

test("of a text: what fills up the last rows of an evaluation is padding, which no position may see", () => {
  const text = Array.from({ length: 250 }, (_, n) => `${String(n).padStart(3, "0")} `).join("");
  const { masked } = textTask({ text, tokenizer: characterTokenizer }).views;
  const batches = [...masked.evalBatches("valid", { batchSize: 1, length: 20 })];
  expect(batches).toHaveLength(3);
  const masks = batches.flatMap(({ mask }) => values(mask!));
  // 50 tokens: the last one is a target of the next token only.
  expect(masks.filter((real) => real === 1).length).toBe(49);
  const train = masked.trainBatch(1, 3, 20);
  expect(train.mask).toBeUndefined();
});

describe("whole words", () => {
  // Words of three tokens: a start where the token is divisible by three.
  const starts = (tokens: ArrayLike<number>) => Array.from(tokens, (token) => token % 3 === 0);
  const view = maskedView(plain(20), { vocabularySize: V, wordStarts: starts });

  test("are hidden with all their tokens, 15 % of them, each token in its own way", () => {
    const batches = [1, 2, 3, 4].map((step) => view.wholeWords!.trainBatch(step, rows, length));
    let [words, chosen, mixed] = [0, 0, 0];
    for (const { inputs, targets, weights } of batches) {
      const [shown, was, counted] = [values(inputs), values(targets), values(weights)];
      for (let row = 0; row < rows; row++) {
        for (let t = 0; t < length - 20; ) {
          let end = t + 1;
          while (end < length - 20 && was[row * length + end]! % 3 !== 0) end++;
          const own = Array.from({ length: end - t }, (_, i) => row * length + t + i);
          expect(new Set(own.map((at) => counted[at])).size).toBe(1);
          words++;
          if (counted[own[0]!] === 1) {
            chosen++;
            if (new Set(own.map((at) => shown[at] === V)).size === 2) mixed++;
          }
          t = end;
        }
        expect(counted.slice(row * length + length - 20, (row + 1) * length).every((weight) => weight === 0)).toBe(
          true,
        );
      }
    }
    expect(Math.abs(chosen - 0.15 * words)).toBeLessThan(spread(0.15, words));
    expect(mixed).toBeGreaterThan(0.2 * chosen);
  });

  test("leave the view of single tokens as it is, and are absent where tokens are no parts of words", () => {
    const single = maskedView(plain(20), { vocabularySize: V });
    expect(values(view.trainBatch(1, 4, length).inputs)).toEqual(values(single.trainBatch(1, 4, length).inputs));
    expect(single.wholeWords).toBeUndefined();
    const short = view.wholeWords!.trainBatch(1, 50, 24);
    const counted = values(short.weights);
    // Four positions count, two words: at least one of them is asked for.
    for (let row = 0; row < 50; row++)
      expect(counted.slice(row * 24, row * 24 + 24).reduce((a, b) => a + b)).toBeGreaterThanOrEqual(1);
  });
});
