import { describe, expect, test } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { dyckTask } from "../../../src/tasks/algorithmic/dyck.ts";
import { inductionTask } from "../../../src/tasks/algorithmic/induction.ts";
import { parityTask } from "../../../src/tasks/algorithmic/parity.ts";
import { selectiveCopyTask } from "../../../src/tasks/algorithmic/selective-copy.ts";
import { sortTask } from "../../../src/tasks/algorithmic/sort.ts";
import { evalRows, isNear, plainRows, rowsOf } from "../row-lists.ts";

describe("sort", () => {
  /** Counts of each symbol, written down in order: no comparison of two. */
  const sorted = (prompt: readonly number[]) =>
    Array.from({ length: 11 }, (_, symbol) => prompt.filter((token) => token === symbol)).flat();

  test.each([64, 7])("as rows of %i: the symbols before the separator in ascending order", (length) => {
    const { next } = sortTask().views;
    for (const { inputs, expected } of [...plainRows(next.trainBatch(1, 20, length)), ...evalRows(next, length, 5)]) {
      const n = Math.floor(length / 2);
      expect(inputs[n]).toBe(0);
      const answers = [...new Array(n).fill(undefined), ...sorted(inputs.slice(0, n))];
      expect(expected.slice(0, 2 * n)).toEqual(answers);
    }
  });

  test("as pairs", () => {
    const batch = sortTask().views.pairs.trainBatch(1, 10);
    rowsOf(batch.source).forEach((source, b) => {
      expect(rowsOf(batch.targets)[b]).toEqual(sorted(source));
    });
  });
});

describe("selective-copy", () => {
  test.each([
    [16, 16, 256],
    [5, 3, 6],
    [6, 2, 31],
  ])("V = %i, %i tokens, T = %i: what stands among blanks, at the marks", (vocabulary, tokens, length) => {
    const { next } = selectiveCopyTask({ vocabulary, tokens, length }).views;
    for (const { inputs, expected } of [...plainRows(next.trainBatch(1, 20)), ...evalRows(next, length, 20)]) {
      const copied = inputs.filter((token) => token < vocabulary - 2);
      expect(copied).toHaveLength(tokens);
      expect(inputs.slice(-tokens)).toEqual(new Array(tokens).fill(vocabulary - 1));
      expect(expected).toEqual([...new Array(length - tokens).fill(undefined), ...copied]);
    }
  });

  test("each place is as likely", () => {
    const rows = plainRows(selectiveCopyTask({ tokens: 2, length: 10 }).views.next.trainBatch(1, 2000));
    for (let t = 0; t < 8; t++) {
      const count = rows.filter(({ inputs }) => inputs[t]! < 14).length;
      expect(isNear(count, 2 / 8, rows.length), String(t)).toBe(true);
    }
  });

  test("refuses rows that are too short", () => {
    const { next } = selectiveCopyTask().views;
    expect(() => next.trainBatch(0, 1, 31)).toThrow("16 tokens and their copies need a length of at least 32, got 31");
    expect(() => selectiveCopyTask({ vocabulary: 3 })).toThrow("vocabulary must be an integer ≥ 4");
  });
});

describe("induction", () => {
  test.each([256, 3, 1000])("T = %i: what followed the special token the first time", (length) => {
    const { next } = inductionTask().views;
    for (const { inputs, expected } of [...plainRows(next.trainBatch(1, 20, length)), ...evalRows(next, length, 5)]) {
      expect(inputs.filter((token) => token === 0)).toHaveLength(2);
      expect(inputs.at(-1)).toBe(0);
      expect(expected).toEqual([...new Array(length - 1).fill(undefined), inputs[inputs.indexOf(0) + 1]]);
    }
  });

  test("its first place is uniformly distributed", () => {
    const rows = plainRows(inductionTask().views.next.trainBatch(1, 2000, 10));
    for (let place = 0; place < 8; place++) {
      const count = rows.filter(({ inputs }) => inputs.indexOf(0) === place).length;
      expect(isNear(count, 1 / 8, rows.length), String(place)).toBe(true);
    }
    expect(() => inductionTask().views.next.trainBatch(0, 1, 2)).toThrow(/need a length of 3, got 2/);
  });
});

describe("parity", () => {
  const ones = (tokens: readonly number[]) => tokens.filter((token) => token === 2).length;

  test("the class of a row is the parity of its ones, both equally likely", () => {
    const batch = parityTask().views.labelled.trainBatch(1, 400, 9);
    const labels = batch.labels.toNumbers();
    expect(labels).toEqual(rowsOf(batch.inputs).map((row) => ones(row) % 2));
    expect(isNear(ones(labels.map((label) => label + 1)), 1 / 2, 400)).toBe(true);
    expect(new Set(batch.inputs.toNumbers())).toEqual(new Set([1, 2]));
  });

  test("the class of a position is the parity of the bits up to it", () => {
    const { tagged } = parityTask().views;
    expect(tagged.classes).toBe(2);
    for (const { inputs, expected } of plainRows(tagged.trainBatch(1, 20, 33))) {
      expect(expected).toEqual(inputs.map((_, t) => ones(inputs.slice(0, t + 1)) % 2));
    }
  });

  test("training rows may be shorter, those of evaluation are not", () => {
    const { views } = parityTask({ shortest: 3, length: 6 });
    const { mask } = views.labelled.trainBatch(1, 400);
    const lengths = rowsOf(mask).map((row) => row.filter(Boolean).length);
    for (let n = 3; n <= 6; n++) expect(isNear(lengths.filter((length) => length === n).length, 1 / 4, 400)).toBe(true);
    const [batch] = views.labelled.evalBatches("valid", { batchSize: 5, length: 6, limit: 5 });
    expect(new Set(batch!.mask.toNumbers())).toEqual(new Set([1]));
    expect(() => views.labelled.trainBatch(0, 1, 2)).toThrow("the shortest row has 3 bits, got a length of 2");
  });
});

describe("dyck", () => {
  /** Removes matching neighbours until none is left: what remains are the brackets still open. */
  function openIn(text: string): string {
    const shorter = text.replace(/\(\)|\[\]|\{\}|<>/g, "");
    return shorter === text ? text : openIn(shorter);
  }
  const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "<": ">" };

  test.each([
    [4, 8, 64],
    [1, 3, 20],
    [2, 1, 2],
    [3, 5, 31],
  ])("%i kinds, %i deep, T = %i: closes what is open, innermost first", (kinds, maxDepth, length) => {
    const task = dyckTask({ kinds, maxDepth, length });
    const text = (tokens: readonly number[]) => tokens.map((token) => task.symbolOf!(token)).join("");
    const rows = [...plainRows(task.views.next.trainBatch(1, 40)), ...evalRows(task.views.next, length, 10)];
    for (const { inputs, expected } of rows) {
      const at = inputs.indexOf(0);
      const open = openIn(text(inputs.slice(0, at)));
      expect(open).toMatch(/^[([{<]+$/);
      expect(open.length).toBeLessThanOrEqual(maxDepth);
      const answers = [...open].reverse().map((bracket) => closing[bracket]!);
      const scored = expected.flatMap((target, t) => (target === undefined ? [] : [[t, task.symbolOf!(target)]]));
      expect(scored).toEqual(answers.map((bracket, i) => [at + i, bracket]));
    }
  });

  test("tags each bracket with the number of those open, never more than allowed", () => {
    const task = dyckTask({ maxDepth: 3 });
    const { tagged } = task.views;
    expect(tagged.classes).toBe(4);
    const rows = plainRows(tagged.trainBatch(1, 40));
    for (const { inputs, expected } of rows) {
      const tokens = inputs.filter((token) => token > 0);
      const text = tokens.map((token) => task.symbolOf!(token)).join("");
      const depths = tokens.map((_, t) => openIn(text.slice(0, t + 1)).length);
      expect(expected).toEqual([...depths, ...new Array(64 - tokens.length).fill(undefined)]);
    }
    expect(new Set(rows.flatMap(({ expected }) => expected))).toEqual(new Set([0, 1, 2, 3, undefined]));
  });

  test("names brackets of more kinds, and refuses what does not fit", async () => {
    const { symbolOf } = dyckTask({ kinds: 6 });
    expect([5, 6, 11, 12].map((token) => symbolOf!(token))).toEqual(["(4", "(5", ")4", ")5"]);
    expect(() => dyckTask().views.next.trainBatch(0, 1, 8)).toThrow("a depth of 8 needs a length above 8, got 8");
    await expect(createTask("dyck", { kinds: 0 })).rejects.toThrow(/"kinds"/);
  });
});
