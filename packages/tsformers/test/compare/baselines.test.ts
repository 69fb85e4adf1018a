import { NDArray } from "@tsformers/engine";
import { expect, it } from "vitest";
import { frequencyBaseline } from "../../src/compare/baselines.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../../src/tasks/metric.ts";
import { recallTask } from "../../src/tasks/recall/recall.ts";

const batchOf = (targets: number[][], weights: number[][]) => ({
  inputs: new NDArray([targets.length, targets[0]!.length], "int32", Int32Array.from(targets.flat())),
  targets: new NDArray([targets.length, targets[0]!.length], "int32", Int32Array.from(targets.flat())),
  weights: new NDArray([targets.length, targets[0]!.length], "float32", Float32Array.from(weights.flat())),
});

it("answers with the frequencies of training rows, where they are scored", () => {
  // In training 1 is three times as frequent as 2; 0 stands only where nothing is scored.
  const train = batchOf([[0, 1, 1, 1, 2]], [[0, 1, 1, 1, 1]]);
  const test = batchOf(
    [
      [1, 1, 0],
      [2, 1, 0],
    ],
    [
      [1, 1, 0],
      [1, 1, 0],
    ],
  );
  const { metrics } = frequencyBaseline({
    name: "unigram",
    view: { trainBatch: () => train, evalBatches: () => [test] },
    answers: 3,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    length: 5,
  });
  expect(metrics.tokenAccuracy).toBe(3 / 4);
  expect(metrics.exactAccuracy).toBe(1 / 2);
  // 16 batches of training; each answer counts half a time more.
  const total = 16 * 4 + 1.5;
  expect(metrics.loss).toBeCloseTo(-(3 * Math.log(48.5 / total) + Math.log(16.5 / total)) / 4, 12);
});

it("is chance where nothing but chance is to be had", () => {
  const { views, metrics } = majorityTask({ symbols: 4 });
  const classes = frequencyBaseline({
    name: "most frequent class",
    view: views.labelled as never,
    answers: 4,
    metrics,
    length: 16,
    limit: 2000,
  });
  expect(classes.metrics.accuracy).toBeCloseTo(1 / 4, 1);
  expect(classes.metrics.loss).toBeCloseTo(Math.log(4), 1);
  const recall = recallTask({ values: 8 });
  const unigram = frequencyBaseline({
    name: "unigram",
    view: recall.views.next as never,
    answers: recall.vocabularySize,
    metrics: recall.metrics,
    length: 32,
  });
  expect(unigram.metrics.loss).toBeCloseTo(Math.log(8), 1);
});
