import { foldIn, integers, normal, type RandomKey, uniform } from "@tsformers/engine";
import * as z from "zod";
import { count, positionCount } from "../../schema/count.ts";
import { logSum } from "../gaussian-mixture.ts";
import { pointLoss } from "../metric.ts";
import { type PointsRow, pointsForm } from "../point-rows.ts";
import { generatedRows, rowsView } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

export type MixtureOptions = {
  /** K, how many Gaussians the points of a row come from. Default: 4. */
  readonly components?: number;
  /** D, features of a point. Default: 2. */
  readonly dimensions?: number;
  /** Means are uniform between −spread and spread. Default: 4. */
  readonly spread?: number;
  /** σ of every Gaussian. Default: 0.3. */
  readonly deviation?: number;
  /** The most points of a training row. Default: 64. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

export type MixtureTask = Task<Required<Pick<TaskViews, "points">>>;

const defaults = { components: 4, dimensions: 2, spread: 4, deviation: 0.3, length: 64 };

/** Default of the rows scored in an evaluation. */
const usualRows = 512;

/**
 * Amortised clustering: the points of a row come from a mixture of Gaussians, and the model tells the mixture from the points in one pass.
 *
 * Each row has its own mixture: weights π from Dirichlet(1, …, 1), means uniform in (−spread, spread)^D, one σ for all. A row has ⌈T/2⌉ to T
 * points, in random order. It is one answer: the mean over its points of `−log Σ_k π̂_k N(x; μ̂_k, diag σ̂_k²)` of the mixture that the model
 * tells, so that the loss is minus the log-likelihood per point, and rows count alike whatever their number of points.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.3 and appendix, arXiv:1810.00825 (mixtures of four Gaussians, sets of 100 to 500 points), and
 *   its published code (means in (−4, 4)², σ = 0.3)
 * @differs rows are shorter by default; those of a batch differ in their number of points; nothing is refined by EM afterwards
 */
export function mixtureTask(options: MixtureOptions = {}): MixtureTask {
  const { components, dimensions, spread, deviation, length, seed = 0 } = { ...defaults, ...options };
  for (const [name, value, least] of [
    ["components", components, 2],
    ["dimensions", dimensions, 1],
  ] as const)
    if (!(Number.isInteger(value) && value >= least))
      throw new RangeError(`mixture: ${name} must be an integer ≥ ${least}, got ${value}`);
  for (const [name, value] of Object.entries({ spread, deviation }))
    if (!(value > 0 && value < Number.POSITIVE_INFINITY))
      throw new RangeError(`mixture: ${name} must be a number above 0, got ${value}`);
  const sizes = { components, features: dimensions };
  const source = generatedRows((key, rowLength) => mixtureRow(key, rowLength, { ...sizes, spread, deviation }), {
    seed,
  });
  const view = rowsView({ name: "mixture", length, source, form: pointsForm(sizes), limit: usualRows });
  return {
    name: "mixture",
    // Points are no tokens; a model has one all the same.
    vocabularySize: 1,
    length,
    metrics: [pointLoss],
    fingerprint: `mixture components=${components} dimensions=${dimensions} spread=${spread} deviation=${deviation} seed=${seed}`,
    views: { points: { ...view, ...sizes } },
  };
}

type Shape = {
  readonly components: number;
  readonly features: number;
  readonly spread: number;
  readonly deviation: number;
};

function mixtureRow(key: RandomKey, length: number, { components, features, spread, deviation }: Shape): PointsRow {
  const [size] = integers(foldIn(key, 0), [1], { low: Math.ceil(length / 2), high: length + 1 }).toNumbers() as [
    number,
  ];
  // Exponential numbers over their sum are Dirichlet(1, …, 1). A uniform number is moved by half of its step, so that none is 0.
  const waits = uniform(foldIn(key, 1), [components]).toNumbers();
  const logShares = waits.map((u) => Math.log(-Math.log(u + 2 ** -25)));
  const total = logSum(logShares);
  const means = uniform(foldIn(key, 2), [components * features], { low: -spread, high: spread }).toNumbers();
  const mixture = logShares.map((logShare, k) => ({
    logWeight: logShare - total,
    mean: means.slice(k * features, (k + 1) * features),
    deviation: Array<number>(features).fill(deviation),
  }));
  const chances = uniform(foldIn(key, 3), [size]).toNumbers();
  const noise = normal(foldIn(key, 4), [size * features], { deviation }).toNumbers();
  const points = chances.map((u, t) => {
    const { mean } = mixture[componentAt(u, mixture)]!;
    return mean.map((value, d) => value + noise[t * features + d]!);
  });
  return { points, mixture };
}

/** The component at a place between 0 and 1, where each takes up its weight. */
function componentAt(u: number, mixture: PointsRow["mixture"]): number {
  let left = u;
  const found = mixture.findIndex(({ logWeight }) => {
    left -= Math.exp(logWeight);
    return left < 0;
  });
  // Weights may add up to a little less than 1.
  return found < 0 ? mixture.length - 1 : found;
}

export type MixtureSettings = MixtureOptions;

export const mixtureEntry: TaskEntry<"mixture", MixtureSettings> = /* @__PURE__ */ taskEntry({
  name: "mixture",
  title: "Mixture of Gaussians",
  category: "generated",
  summary: "tell the Gaussians that a set of points comes from (amortised clustering)",
  options: () =>
    z.strictObject({
      components: count(1000, "each has a mean and a deviation of its own", 2)
        .default(defaults.components)
        .describe("how many Gaussians the points of a row come from"),
      dimensions: count(1000, "each point has so many numbers")
        .default(defaults.dimensions)
        .describe("features of a point"),
      spread: z.number().positive().default(defaults.spread).describe("means are between −spread and spread"),
      deviation: z.number().positive().default(defaults.deviation).describe("σ of every Gaussian"),
      length: positionCount().default(defaults.length).describe("the most points of a training row"),
      seed: seedOption(),
    }),
  make: (settings) => mixtureTask(settings),
});
