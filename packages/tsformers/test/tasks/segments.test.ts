import { randomKey } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { segmentsOf, segmentsView } from "../../src/tasks/segments.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

/** Token i is i: a row says where it was cut. */
const counting = (length: number) => ({
  length,
  read: (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i),
});

function viewOf(tokens: number, documents?: readonly number[]) {
  const all = { train: counting(tokens), valid: counting(tokens), test: counting(tokens) };
  const starts = documents && { train: documents, valid: documents, test: documents };
  return segmentsView({ name: "numbers", splits: all, documents: starts, key: randomKey(3), length: 5 });
}

type Row = { readonly inputs: number[]; readonly targets: number[]; readonly fresh: boolean };

/** The rows of a batch without what is not scored. */
function rowsOf({ inputs, targets, weights, fresh }: Batch): Row[] {
  const [batch, length] = inputs.shape as [number, number];
  const scored = weights.toNumbers();
  return Array.from({ length: batch }, (_, b) => {
    const own = (array: Batch["inputs"]) =>
      array
        .toNumbers()
        .slice(b * length, (b + 1) * length)
        .filter((_, t) => scored[b * length + t] === 1);
    return { inputs: own(inputs), targets: own(targets), fresh: fresh!.toNumbers()[b] === 1 };
  });
}

const next = (values: readonly number[]) => values.map((value) => value + 1);

describe("training", () => {
  test("each row goes on where it ended in the batch before, and begins afresh at a pass", () => {
    const view = viewOf(103);
    const [batchSize, length] = [4, 5];
    let before: Row[] | undefined;
    const shifts = new Set<number>();
    let passes = 0;
    for (let step = 1; step <= 25; step++) {
      const rows = rowsOf(view.trainBatch(step, batchSize, length));
      for (const { inputs, targets } of rows) {
        // Only the last segment of the text may be shorter.
        if (targets.at(-1) !== 102) expect(inputs).toHaveLength(length);
        expect(targets).toEqual(next(inputs));
        expect(inputs).toEqual(inputs.map((_, t) => inputs[0]! + t));
      }
      const isPass = rows.every(({ fresh }) => fresh);
      expect(rows.some(({ fresh }) => fresh)).toBe(isPass);
      if (isPass) {
        passes++;
        shifts.add(rows[0]!.inputs[0]!);
        // Rows stand side by side and share nothing.
        const starts = rows.map(({ inputs }) => inputs[0]!);
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
        expect(new Set(starts).size).toBe(batchSize);
      }
      const firsts = rows.map(({ inputs }) => inputs[0]);
      if (!isPass) expect(firsts).toEqual(before!.map(({ targets }) => targets.at(-1)));
      before = rows;
    }
    // 20 segments at least, 5 in each row: 25 batches are 5 passes, cut at other tokens.
    expect(passes).toBe(5);
    expect(shifts.size).toBeGreaterThan(1);
    expect(Math.max(...shifts)).toBeLessThan(length);
  });

  test("a batch is a function of its number alone", () => {
    const [one, other] = [viewOf(103), viewOf(103)];
    for (let step = 1; step <= 9; step++) other.trainBatch(step, 4, 5);
    expect(rowsOf(other.trainBatch(12, 4, 5))).toEqual(rowsOf(one.trainBatch(12, 4, 5)));
  });

  test("no row reads over the end of a document; what follows begins afresh", () => {
    const documents = [0, 23, 24, 60];
    const view = viewOf(120, documents);
    for (let step = 1; step <= 20; step++) {
      for (const { inputs, targets, fresh } of rowsOf(view.trainBatch(step, 3, 5))) {
        const document = documents.findLast((start) => start <= inputs[0]!)!;
        const end = documents.find((start) => start > document) ?? 120;
        expect(Math.max(...targets)).toBeLessThan(end);
        // The first segment of a document, but for what a pass leaves out at its beginning.
        if (inputs[0]! - document < 5 && inputs[0]! === document) expect(fresh).toBe(true);
      }
    }
  });
});

describe("evaluation", () => {
  const scoredIn = (tokens: number, length: number, batchSize: number, limit?: number, documents?: readonly number[]) =>
    [
      ...viewOf(tokens, documents).evalBatches("valid", {
        batchSize,
        length,
        ...(limit === undefined ? {} : { limit }),
      }),
    ].map(rowsOf);

  test.each([
    [5, 3],
    [7, 4],
    [1, 2],
    [50, 1],
  ])("at length %i in %i rows the same tokens are scored, each once, rows going on", (length, batchSize) => {
    const batches = scoredIn(83, length, batchSize, 60);
    const targets = batches.flat().flatMap(({ targets }) => targets);
    expect(targets.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    batches.forEach((rows, i) => {
      rows.forEach(({ inputs, fresh }, b) => {
        if (inputs.length === 0) return;
        expect(fresh).toBe(i === 0);
        if (i > 0) expect(inputs[0]).toBe(batches[i - 1]![b]!.inputs.at(-1)! + 1);
      });
    });
  });

  test("first tokens of documents are no targets", () => {
    const documents = [0, 9, 10, 30];
    const targets = scoredIn(40, 4, 3, undefined, documents)
      .flat()
      .flatMap(({ targets }) => targets);
    const expected = Array.from({ length: 40 }, (_, i) => i).filter((i) => !documents.includes(i));
    expect(targets.sort((a, b) => a - b)).toEqual(expected);
  });
});

test("segments are counted and found without walking through them", () => {
  const segments = segmentsOf(41, 4, [0, 9, 10, 30]);
  const all = Array.from({ length: segments.count }, (_, i) => segments.at(i));
  expect(all.map(({ start, end, isFirst }) => [start, end, isFirst])).toEqual([
    [0, 4, true],
    [4, 8, false],
    [10, 14, true],
    [14, 18, false],
    [18, 22, false],
    [22, 26, false],
    [26, 29, false],
    [30, 34, true],
    [34, 38, false],
    [38, 40, false],
  ]);
});

test("a text has such a view, whose rows are its letters in order", () => {
  const text = "the quick brown fox jumps over the lazy dog, ".repeat(10);
  const task = textTask({ text, tokenizer: characterTokenizer, length: 8 });
  const [first, second] = [1, 2].map((step) => task.views.segments.trainBatch(step, 2));
  const decode = (batch: Batch, row: number) =>
    task.tokenizer!.decode(batch.inputs.toNumbers().slice(row * 8, (row + 1) * 8));
  for (const row of [0, 1]) expect(text).toContain(decode(first!, row) + decode(second!, row));
});

test("what is too short is refused, with what to do", () => {
  expect(() => viewOf(20).trainBatch(1, 4, 5)).toThrow(
    "numbers: 4 rows of segments of length 5 need more than the 20 tokens of the train split; use a shorter length, fewer rows or a longer text",
  );
  expect(() => viewOf(20).evalBatches("test", { batchSize: 1, length: 30 })).toThrow("1 row of segments of length 30");
  expect(() => viewOf(20).trainBatch(1, 0, 5)).toThrow("batchSize must be an integer ≥ 1, got 0");
});
