import { expect, it } from "vitest";
import { fittedMixture, pointBaselines } from "../../src/compare/point-baselines.ts";
import { bestBaseline, rankedVariants, rankingOf } from "../../src/compare/statistics/ranking.ts";
import { adviceOf } from "../../src/compare/text/advice.ts";
import { comparisonTables } from "../../src/compare/text/table.ts";
import { logDensity } from "../../src/tasks/gaussian-mixture.ts";
import { rowsOfPoints } from "../../src/tasks/point-rows.ts";
import { mixtureTask } from "../../src/tasks/sets/mixture.ts";
import { madeComparison, text } from "./measured-fixture.ts";

it("finds the mixture that all rows come from, where there is one", () => {
  const task = mixtureTask({ components: 2, spread: 3, deviation: 0.5 });
  const [row] = rowsOfPoints(task.views.points.trainBatch(1, 1, 4000));
  const fitted = fittedMixture([row!], 2);
  const sorted = (mixture: typeof fitted) => [...mixture].sort((a, b) => a.mean[0]! - b.mean[0]!);
  sorted(fitted).forEach(({ logWeight, mean, deviation }, k) => {
    const known = sorted(row!.mixture)[k]!;
    expect(Math.exp(logWeight)).toBeCloseTo(Math.exp(known.logWeight), 1);
    mean.forEach((value, d) => void expect(Math.abs(value - known.mean[d]!)).toBeLessThan(0.1));
    deviation.forEach((value) => void expect(Math.abs(value - 0.5)).toBeLessThan(0.05));
  });
});

it("is better than one Gaussian, and far from what knows the mixtures", () => {
  const task = mixtureTask();
  const about = { view: task.views.points, metrics: task.metrics, length: 64, limit: 100 };
  const [fixed, oracle] = pointBaselines({ ...about, components: 4 });
  const [gaussian] = pointBaselines({ ...about, components: 1 });
  expect(fixed!.metrics.loss).toBeLessThan(gaussian!.metrics.loss! - 0.05);
  // Of means uniform between −4 and 4 the variance is 16/3; with σ² = 0.09 a Gaussian has log(2π) + 1 + log(16/3 + 0.09) = 4.53 nats.
  expect(gaussian!.metrics.loss).toBeCloseTo(4.53, 0);
  const rows = [...task.views.points.evalBatches("test", { batchSize: 7, length: 64, limit: 100 })].flatMap(
    rowsOfPoints,
  );
  expect(rows).toHaveLength(100);
  const known = rows.map(
    ({ points, mixture }) => -points.reduce((sum, point) => sum + logDensity(mixture, point), 0) / points.length,
  );
  expect(oracle!.metrics.loss).toBeCloseTo(known.reduce((sum, value) => sum + value, 0) / 100, 9);
  expect([fixed!.knowsAnswers, oracle!.knowsAnswers]).toEqual([undefined, true]);
});

it("an oracle stands in the table and is no hurdle", () => {
  const task = {
    ...text,
    label: "mixture",
    metrics: [{ name: "loss", label: "loss (nats per point)", better: "lower" as const }],
    ranking: "loss",
    baselines: [
      { name: "true mixtures", knowsAnswers: true as const, metrics: { loss: 1.4 } },
      { name: "one mixture for all", metrics: { loss: 4.4 } },
    ],
  };
  const learned = madeComparison([task], [{ label: "a", scores: { mixture: [2.8, 2.81, 2.79] } }]);
  expect(bestBaseline(task, task.metrics[0]!)).toBe(4.4);
  expect(rankedVariants(rankingOf(learned, "mixture"))[0]!.learned).toBe(true);
  const names = comparisonTables(learned).tables[0]!.rows.map(([name]) => name);
  expect(names).toEqual(["true mixtures (oracle)", "a", "one mixture for all (baseline)"]);
  const failed = madeComparison([task], [{ label: "a", scores: { mixture: [4.4, 4.41, 4.42] } }]);
  expect(adviceOf(failed).join("\n")).toContain('none is better than the baseline "one mixture for all"');
});
