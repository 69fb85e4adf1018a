import { type Concrete, flatten, isNdArray, type NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { bert } from "../../src/models/encoders/bert.ts";
import { classification } from "../../src/objectives/classification.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import type { LabelledBatch } from "../../src/tasks/task.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const rowsOf = (array: NDArray): number[][] => {
  const flat = array.toNumbers();
  const width = array.shape[1]!;
  return Array.from({ length: array.shape[0]! }, (_, b) => flat.slice(b * width, (b + 1) * width));
};
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe.each([
  [2, 9],
  [4, 64],
  [5, 21],
  [3, 12],
])("%i symbols in %i places", (symbols, length) => {
  const { views, vocabularySize } = majorityTask({ symbols, length });
  const { labelled } = views;
  const each = Math.floor((length - 1) / symbols);

  test("one symbol comes once more than all others, and is the class; what is behind is padding", () => {
    expect([labelled.classes, vocabularySize]).toEqual([symbols, symbols + 1]);
    const batch = labelled.trainBatch(3, 50);
    expect(batch.inputs.shape).toEqual([50, length]);
    const [masks, labels] = [rowsOf(batch.mask), batch.labels.toNumbers()];
    rowsOf(batch.inputs).forEach((tokens, row) => {
      const real = symbols * each + 1;
      expect(masks[row]).toEqual(tokens.map((_, t) => (t < real ? 1 : 0)));
      expect(tokens.slice(real)).toEqual(new Array(length - real).fill(0));
      const counts = Array.from(
        { length: symbols },
        (_, symbol) => tokens.filter((token) => token === symbol + 1).length,
      );
      expect(counts).toEqual(counts.map((_, symbol) => each + (symbol === labels[row] ? 1 : 0)));
    });
    expect(batch.weights.toNumbers()).toEqual(new Array(50).fill(1));
  });

  test("each class comes as often, and each symbol at each place", () => {
    const batches = [1, 2, 3, 4].map((step) => labelled.trainBatch(step, 300));
    const rows = 1200;
    const near = (count: number, share: number) =>
      expect(Math.abs(count - share * rows)).toBeLessThan(5 * Math.sqrt(rows * share * (1 - share)));
    const labels = batches.flatMap((batch) => batch.labels.toNumbers());
    const tokens = batches.flatMap((batch) => rowsOf(batch.inputs));
    for (let symbol = 0; symbol < symbols; symbol++) {
      near(labels.filter((label) => label === symbol).length, 1 / symbols);
      for (const t of [0, each, symbols * each]) {
        near(tokens.filter((row) => row[t] === symbol + 1).length, 1 / symbols);
      }
    }
  });
});

describe("batches", () => {
  const { labelled } = majorityTask({ length: 13, symbols: 3 }).views;
  const options = { batchSize: 8, length: 13, limit: 20 };

  test("are a function of seed, step and row", () => {
    expect(labelled.trainBatch(5, 8)).toEqual(majorityTask({ length: 13, symbols: 3 }).views.labelled.trainBatch(5, 8));
    expect(rowsOf(labelled.trainBatch(5, 3).inputs)).toEqual(rowsOf(labelled.trainBatch(5, 8).inputs).slice(0, 3));
    expect(labelled.trainBatch(6, 8)).not.toEqual(labelled.trainBatch(5, 8));
    expect(majorityTask({ length: 13, symbols: 3, seed: 1 }).views.labelled.trainBatch(5, 8)).not.toEqual(
      labelled.trainBatch(5, 8),
    );
  });

  test("of an evaluation are the same under every seed, score as many rows as asked, and are not those of training", () => {
    const batches = [...labelled.evalBatches("valid", options)];
    expect(batches.map(({ weights }) => sum(weights.toNumbers()))).toEqual([8, 8, 4]);
    const other = majorityTask({ length: 13, symbols: 3, seed: 7 }).views.labelled;
    expect([...other.evalBatches("valid", options)]).toEqual(batches);
    expect([...labelled.evalBatches("test", options)]).not.toEqual(batches);
    expect(rowsOf(batches[0]!.inputs)).not.toEqual(rowsOf(labelled.trainBatch(1, 8).inputs));
    const whole = [...labelled.evalBatches("valid", { batchSize: 100, length: 13 })];
    expect(sum(whole.flatMap(({ weights }) => weights.toNumbers()))).toBe(512);
  });

  test("that cannot be made are refused at once", () => {
    expect(() => labelled.trainBatch(1, 2, 3)).toThrow("majority: 3 symbols need a length above 3, got 3");
    expect(() => labelled.evalBatches("valid", { batchSize: 2, length: 3 })).toThrow("need a length above 3");
    expect(() => labelled.evalBatches("valid", { ...options, limit: 0 })).toThrow(
      "limit must be an integer ≥ 1, got 0",
    );
    expect(() => majorityTask({ symbols: 1 })).toThrow("symbols must be an integer ≥ 2, got 1");
  });
});

test("a small BERT learns a batch by heart, and tells classes that it has not seen better than by chance", async () => {
  const task = majorityTask({ symbols: 2, length: 9 });
  const { labelled } = task.views;
  const model = bert({ vocabularySize: task.vocabularySize, layers: 1, modelWidth: 16, heads: 2, length: 9 });
  const device = await openCpu();
  const losses: number[] = [];
  const first = labelled.trainBatch(1, 16);
  const trained = await train({
    objective: classification(model.body, { classes: labelled.classes }),
    task,
    view: { ...labelled, trainBatch: (): LabelledBatch => first },
    optimiser: adamw(),
    schedule: constantRate(1e-2),
    steps: 200,
    batchSize: 16,
    length: 9,
    device,
    evalTokens: 128 * 9,
    onEvent: (event) => void (event.kind === "step" && losses.push(event.loss)),
  });
  await device.close();
  expect(losses[0]!).toBeCloseTo(Math.log(2), 0);
  expect(losses.at(-1)!).toBeLessThan(0.02);
  const { totals } = trained.evaluation!;
  expect(totals.rows).toBe(128);
  expect(totals.correct! / totals.rows).toBeGreaterThan(0.7);
  const { leaves } = flatten(trained.params as Concrete<unknown>, isNdArray);
  expect(leaves.every((leaf) => leaf.toNumbers().every(Number.isFinite))).toBe(true);
});
