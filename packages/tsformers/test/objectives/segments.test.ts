import { type NDArray, randomKey } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { type SegmentedSplit, segmentsOf, segmentsView } from "../../src/tasks/segments.ts";
import type { Batch, EvalSplit } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

/** Token i of the split is i: rows say themselves where they come from. */
const counting = (length: number): SegmentedSplit => ({
  length,
  read: (start, end) => {
    if (start < 0 || end > length) throw new RangeError(`${start} … ${end} is not all in 0 … ${length}`);
    return Int32Array.from({ length: end - start }, (_, i) => start + i);
  },
});
const splitsOf = (length: number): Record<"train" | EvalSplit, SegmentedSplit> => ({
  train: counting(length),
  valid: counting(length),
  test: counting(length),
});
const viewOf = (tokens: number, length: number, more: { documents?: readonly number[]; seed?: number } = {}) =>
  segmentsView({
    name: "counting",
    splits: splitsOf(tokens),
    documents: more.documents && { train: more.documents, valid: more.documents, test: more.documents },
    key: randomKey(more.seed ?? 0),
    length,
  });

const rowsOf = (array: NDArray): number[][] => {
  const flat = array.toNumbers();
  const width = array.shape[1]!;
  return Array.from({ length: array.shape[0]! }, (_, b) => flat.slice(b * width, (b + 1) * width));
};

/** What one row reads in a batch: what counts of it, and whether its document begins. */
type Read = { readonly inputs: number[]; readonly targets: number[]; readonly fresh: boolean };

function readBy(row: number, batches: readonly Batch[]): Read[] {
  return batches.map(({ inputs, targets, weights, fresh }) => {
    const own = rowsOf(weights)[row]!;
    const count = own.filter((weight) => weight === 1).length;
    expect(own.slice(0, count).every((weight) => weight === 1)).toBe(true);
    return {
      inputs: rowsOf(inputs)[row]!.slice(0, count),
      targets: rowsOf(targets)[row]!.slice(0, count),
      fresh: fresh!.toNumbers()[row] === 1,
    };
  });
}

/** Goes through a row: each batch goes on where the one before ended, unless a document begins. */
function expectGoesOn(reads: readonly Read[], starts: readonly number[]): void {
  let end: number | undefined;
  for (const { inputs, targets, fresh } of reads) {
    if (inputs.length === 0) continue;
    expect(targets).toEqual(inputs.map((token) => token + 1));
    expect(inputs).toEqual(inputs.map((_, i) => inputs[0]! + i));
    if (!fresh) expect(inputs[0]).toBe(end);
    // No document reaches into another one, not by a target either.
    const document = starts.findLastIndex((start) => start <= inputs[0]!);
    expect(targets.at(-1)).toBeLessThan(starts[document + 1] ?? Number.POSITIVE_INFINITY);
    end = targets.at(-1);
  }
}

const steps = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe("one document", () => {
  const [tokens, length, rows] = [1003, 10, 4];
  const view = viewOf(tokens, length);
  // 993 tokens are predicted when the longest shift is left out: 100 segments, 25 for each row.
  const perRow = 25;

  test("a row's batches, one behind the other, are the text", () => {
    const batches = steps(1, perRow).map((step) => view.trainBatch(step, rows));
    for (let row = 0; row < rows; row++) {
      const reads = readBy(row, batches);
      expectGoesOn(reads, [0]);
      expect(reads.map(({ fresh }) => fresh)).toEqual([true, ...new Array(perRow - 1).fill(false)]);
      const all = reads.flatMap(({ inputs }) => inputs);
      expect(all).toEqual(all.map((_, i) => all[0]! + i));
      expect(all).toHaveLength(perRow * length);
    }
    const firsts = rowsOf(batches[0]!.inputs).map((row) => row[0]!);
    expect(firsts).toEqual(steps(0, rows).map((row) => firsts[0]! + row * perRow * length));
  });

  test("begins again behind the last segment, everywhere, and at another place", () => {
    const passes = steps(0, 12).map((pass) => view.trainBatch(1 + pass * perRow, rows));
    for (const { fresh } of passes) expect(fresh!.toNumbers()).toEqual([1, 1, 1, 1]);
    const shifts = passes.map(({ inputs }) => rowsOf(inputs)[0]![0]!);
    expect(shifts.every((shift) => shift >= 0 && shift < length)).toBe(true);
    expect(new Set(shifts).size).toBeGreaterThan(3);
    for (const pass of steps(0, 12)) {
      const batches = steps(1 + pass * perRow, perRow).map((step) => view.trainBatch(step, rows));
      for (let row = 0; row < rows; row++) expectGoesOn(readBy(row, batches), [0]);
    }
  });

  test("a step's batch depends on nothing but the seed and the step: a resumed run reads the same", () => {
    const all = steps(1, 60).map((step) => view.trainBatch(step, rows));
    const resumed = viewOf(tokens, length);
    for (const step of [60, 26, 25, 3]) expect(resumed.trainBatch(step, rows)).toEqual(all[step - 1]);
    const other = viewOf(tokens, length, { seed: 1 });
    const passes = steps(0, 8).map((pass) => 1 + pass * perRow);
    expect(passes.map((step) => other.trainBatch(step, rows))).not.toEqual(
      passes.map((step) => view.trainBatch(step, rows)),
    );
  });

  test.each([
    [10, 4, undefined],
    [7, 3, undefined],
    [25, 1, undefined],
    [10, 4, 333],
    [33, 5, 100],
  ])("an evaluation at length %i, batch %i scores each token once, limit %s", (length, batchSize, limit) => {
    const options = { batchSize, length, ...(limit === undefined ? {} : { limit }) };
    const batches = [...view.evalBatches("valid", options)];
    const targets: number[] = [];
    for (let row = 0; row < batchSize; row++) {
      const reads = readBy(row, batches);
      expectGoesOn(reads, [0]);
      expect(reads[0]!.fresh).toBe(true);
      targets.push(...reads.flatMap(({ targets }) => targets));
    }
    expect(targets).toEqual(steps(1, limit ?? tokens - 1));
    for (const { inputs } of batches) expect(inputs.shape).toEqual([batchSize, length]);
    expect([...viewOf(tokens, length, { seed: 5 }).evalBatches("valid", options)]).toEqual(batches);
  });

  test("refuses what does not fit, and says what would", () => {
    const short = viewOf(40, 10);
    expect(() => short.trainBatch(1, 4)).toThrow(
      "counting: 4 rows of segments of length 10 need more than the 40 tokens of the train split; use a shorter length, fewer rows",
    );
    expect(short.trainBatch(1, 3).inputs.shape).toEqual([3, 10]);
    expect(() => short.evalBatches("test", { batchSize: 1, length: 40 })).toThrow("1 row of segments of length 40");
    expect(() => short.evalBatches("test", { batchSize: 1, length: 20, limit: 10 })).toThrow(/limit must be at least/);
    expect(() => short.trainBatch(1, 0)).toThrow("batchSize must be an integer ≥ 1, got 0");
  });
});

describe("several documents", () => {
  // Of 1, 2, 3 and of many tokens: those of one token have nothing to predict.
  const documents = [0, 50, 51, 53, 56, 130, 131, 400];
  const [tokens, length] = [700, 10];

  test("are cut apart: a segment ends with its document, and the next one begins", () => {
    const segments = segmentsOf(tokens, length, documents);
    const all = steps(0, segments.count).map((index) => segments.at(index));
    const ends = [...documents.slice(1), tokens];
    const expected = documents.flatMap((from, i) => {
      const predicted = ends[i]! - 1 - from;
      return steps(0, Math.ceil(predicted / length)).map((place) => ({
        start: from + place * length,
        end: Math.min(from + (place + 1) * length, ends[i]! - 1),
        isFirst: place === 0,
      }));
    });
    expect(all).toEqual(expected);
  });

  test.each([1, 3])("are never joined in training, with %i rows, in any pass", (rows) => {
    const view = viewOf(tokens, length, { documents });
    let fresh = 0;
    const reads = steps(1, 400).map((step) => view.trainBatch(step, rows));
    for (let row = 0; row < rows; row++) {
      const own = readBy(row, reads);
      expectGoesOn(own, documents);
      fresh += own.filter((read) => read.fresh).length;
    }
    expect(fresh).toBeGreaterThan(rows * 6);
  });

  test("are never joined in evaluation, and each token that has one before it in its document is scored once", () => {
    const view = viewOf(tokens, length, { documents });
    const batches = [...view.evalBatches("test", { batchSize: 3, length })];
    const targets: number[] = [];
    for (let row = 0; row < 3; row++) {
      const reads = readBy(row, batches);
      expectGoesOn(reads, documents);
      targets.push(...reads.flatMap(({ targets }) => targets));
    }
    expect(targets).toEqual(steps(0, tokens).filter((token) => !documents.includes(token)));
  });

  test("a limit counts what is scored, and no first token of a document is", () => {
    const view = viewOf(tokens, length, { documents });
    const scored = steps(0, tokens).filter((token) => !documents.includes(token));
    for (const limit of [10, 48, 49, 50, 51, 52, 53, 123, 400, scored.length]) {
      for (const own of [1, 7, 10]) {
        const batches = [...view.evalBatches("valid", { batchSize: 2, length: own, limit })];
        const targets = [0, 1].flatMap((row) => readBy(row, batches).flatMap((read) => read.targets));
        expect(targets).toEqual(scored.slice(0, limit));
      }
    }
  });

  test("the last one may have one token, which is not predicted from the document before", () => {
    const view = viewOf(50, 10, { documents: [0, 20, 49] });
    const read = readBy(0, [...view.evalBatches("test", { batchSize: 1, length: 10 })]);
    expect(read.flatMap(({ targets }) => targets)).toEqual([...steps(1, 19), ...steps(21, 28)]);
    for (const step of steps(1, 60))
      for (const own of readBy(0, [view.trainBatch(step, 1)])) {
        expect(own.targets).not.toContain(49);
      }
  });

  test("those that are no longer than a segment are read as a whole, in every pass", () => {
    const short = steps(0, 40).map((i) => i * 8);
    const view = viewOf(320, length, { documents: short });
    const reads = readBy(
      0,
      steps(1, 120).map((step) => view.trainBatch(step, 1)),
    );
    expect(reads.map(({ inputs }) => inputs[0])).toEqual([...short, ...short, ...short]);
    for (const { inputs, fresh } of reads) expect([inputs.length, fresh]).toEqual([7, true]);
  });

  test("those that are longer lose less than a segment at their beginning, and each pass reads as many segments", () => {
    const [a, b] = [0, 13];
    const view = viewOf(600, length, { documents: [a, b] });
    const perPass = 59;
    const firsts = new Set<number>();
    for (const pass of steps(0, 20)) {
      const reads = readBy(
        0,
        steps(1 + pass * perPass, perPass).map((step) => view.trainBatch(step, 1)),
      );
      expect(reads[0]!.inputs).toHaveLength(length);
      firsts.add(reads[0]!.inputs[0]!);
      expectGoesOn(reads, [a, b]);
    }
    expect([...firsts].every((first) => first <= 2)).toBe(true);
    expect(firsts.size).toBeGreaterThan(1);
  });
});

test("a text is read in order by its tokenizer's tokens", () => {
  const text = Array.from({ length: 250 }, (_, n) => `${String(n).padStart(3, "0")} `).join("");
  const { tokenizer, views } = textTask({ text, tokenizer: characterTokenizer, length: 16 });
  const batches = steps(1, 10).map((step) => views.segments.trainBatch(step, 5));
  for (let row = 0; row < 5; row++) {
    const read = batches.map(({ inputs }) => tokenizer!.decode(rowsOf(inputs)[row]!)).join("");
    expect(text.slice(0, 900)).toContain(read);
  }
});
