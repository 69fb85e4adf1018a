import { leastVariance } from "../nn/gaussian-mixture.ts";
import { type GaussianMixture, jointLogDensities, logDensity, logSum } from "../tasks/gaussian-mixture.ts";
import type { EvalTotals, Metric } from "../tasks/metric.ts";
import { type PointsRow, rowsOfPoints } from "../tasks/point-rows.ts";
import type { PointsBatch, TaskView } from "../tasks/task.ts";
import { type Baseline, figuresOf } from "./baselines.ts";

/** Rows of training that the fixed mixture is fitted to, and so many points of each: those of a row tell little more. */
const fittedRows = 512;
const fittedPoints = 8;
const batchSize = 64;
/** Rounds of EM: further ones change the figure by less than 0.001 nats. */
const rounds = 40;

/**
 * What can be reached on rows of points: by one mixture for all rows, with as many components as a model has, and by the mixtures that the rows
 * were drawn from, which nothing beats but by chance.
 */
export function pointBaselines(options: {
  readonly view: TaskView<PointsBatch>;
  readonly components: number;
  readonly metrics: readonly Metric[];
  readonly length: number;
  readonly limit?: number;
}): Baseline[] {
  const { view, components, metrics, length, limit } = options;
  const training = Array.from({ length: fittedRows / batchSize }, (_, i) =>
    rowsOfPoints(view.trainBatch(i + 1, batchSize, length)),
  );
  const some = training.flat().map(({ points }) => ({ points: points.slice(0, fittedPoints) }));
  const fixed = fittedMixture(some, components);
  const batches = view.evalBatches("test", { batchSize, length, ...(limit !== undefined && { limit }) });
  const rows = [...batches].flatMap(rowsOfPoints);
  const figures = (mixtureOf: (row: PointsRow) => GaussianMixture) => figuresOf(metrics, totalsOf(rows, mixtureOf));
  return [
    { name: "one mixture for all", metrics: figures(() => fixed) },
    { name: "true mixtures", knowsAnswers: true, metrics: figures(({ mixture }) => mixture) },
  ];
}

function totalsOf(rows: readonly PointsRow[], mixtureOf: (row: PointsRow) => GaussianMixture): EvalTotals {
  const losses = rows.map((row) => {
    const mixture = mixtureOf(row);
    return -row.points.reduce((sum, point) => sum + logDensity(mixture, point), 0) / row.points.length;
  });
  return { lossSum: losses.reduce((sum, loss) => sum + loss, 0), tokens: rows.length, rows: rows.length };
}

/**
 * A mixture of Gaussians for the points of all rows, by expectation maximisation, begun at points that stand far apart in the list. Rows count
 * alike, whatever their number of points.
 *
 * @source Dempster, Laird & Rubin 1977, "Maximum Likelihood from Incomplete Data via the EM Algorithm", §4.3
 */
export function fittedMixture(rows: readonly Pick<PointsRow, "points">[], components: number): GaussianMixture {
  const points = rows.flatMap(({ points }) => points.map((at) => ({ at, weight: 1 / points.length / rows.length })));
  const whole = gaussianOf(
    points.map(({ at }) => at),
    points.map(({ weight }) => weight),
  );
  let mixture: GaussianMixture = Array.from({ length: components }, (_, k) => ({
    logWeight: -Math.log(components),
    mean: points[Math.floor(((k + 0.5) * points.length) / components)]!.at,
    deviation: whole.deviation,
  }));
  for (let round = 0; round < rounds; round++) {
    const shares = points.map(({ at, weight }) => {
      const joint = jointLogDensities(mixture, at);
      const total = logSum(joint);
      return joint.map((value) => weight * Math.exp(value - total));
    });
    mixture = mixture.map((_, k) =>
      gaussianOf(
        points.map(({ at }) => at),
        shares.map((share) => share[k]!),
      ),
    );
  }
  return mixture;
}

/** The weighted mean and deviations of points; its weight is the sum of theirs. */
function gaussianOf(points: readonly (readonly number[])[], weights: readonly number[]): GaussianMixture[number] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = points[0]!.map((_, d) => points.reduce((sum, at, i) => sum + weights[i]! * at[d]!, 0) / total);
  const deviation = mean.map((center, d) => {
    const variance = points.reduce((sum, at, i) => sum + weights[i]! * (at[d]! - center) ** 2, 0) / total;
    return Math.sqrt(Math.max(variance, leastVariance));
  });
  return { logWeight: Math.log(total), mean, deviation };
}
