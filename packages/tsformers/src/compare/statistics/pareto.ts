import type { CellAbout, Comparison } from "../results.ts";
import { order, rankedVariants, rankingOf } from "./ranking.ts";
import { stateOfCell } from "./state-of-cell.ts";
import { compareSpreads } from "./statistics.ts";
import { costNoise, speedNoise, stepAt } from "./step-costs.ts";
import type { VariantSummary } from "./summaries.ts";

/** What quality is set against: time and memory of whole runs at the training length or of one step at a length, or what is counted in a model. */
export type Cost = MeasuredCost | CountedCost;

type MeasuredCost =
  | { readonly kind: "time" | "memory" }
  | { readonly kind: "step time" | "step memory"; readonly length: number };

/** Parameters, operations of a training step per token, bytes that a row keeps of the past. */
type CountedCost = { readonly kind: "parameters" | "flops" | "state" };

/** A variant's quality and cost. */
export type ParetoPoint = {
  readonly variant: string;
  /** The ranking metric, its mean over seeds. */
  readonly figure: number;
  /** Seconds per token, bytes, a number of parameters, or operations per token. */
  readonly cost: number;
  /** Whether no other is at least as good and cheaper, or at least as cheap and better. */
  readonly onFront: boolean;
  /** Variants that are. */
  readonly beatenBy: readonly string[];
};

/**
 * Quality on a task against cost, the cheapest first. A variant is off the front when another is no worse in mean and no dearer, and by more than
 * chance better in one of them: a verdict of "better", or cheaper, by more than noise where costs are measured and not counted.
 */
export function paretoOf(comparison: Comparison, taskLabel: string, cost: Cost): ParetoPoint[] {
  const ranking = rankingOf(comparison, taskLabel);
  const { metric } = ranking;
  const points = rankedVariants(ranking).flatMap((row) => {
    const cell = comparison.cells.find((one) => one.task === taskLabel && one.variant === row.variant);
    const value = isCounted(cost)
      ? cell && counts[cost.kind](cell, ranking.task.trainLength)
      : costOf(row.summary, cost);
    return value === undefined ? [] : [{ row, cost: value, noise: noiseOf(row.summary, cost) }];
  });
  return points
    .map(({ row, cost, noise }): ParetoPoint => {
      const beatenBy = points.filter((other) => {
        if (other.row === row || other.cost > cost) return false;
        if (order(metric, other.row.figure.mean, row.figure.mean) > 0) return false;
        const isCheaper = other.cost < cost / (1 + Math.max(noise, other.noise));
        return isCheaper || compareSpreads(other.row.figure, row.figure, metric.better).verdict === "better";
      });
      const { variant, figure } = row;
      return {
        variant,
        figure: figure.mean,
        cost,
        onFront: beatenBy.length === 0,
        beatenBy: beatenBy.map((other) => other.row.variant),
      };
    })
    .sort((a, b) => a.cost - b.cost || order(metric, a.figure, b.figure));
}

function noiseOf(summary: VariantSummary, cost: Cost): number {
  if (isCounted(cost)) return 0;
  const step = cost.kind === "step time" ? stepAt(summary, cost.length) : undefined;
  return step === undefined ? costNoise : speedNoise(step);
}

/** What was measured of a variant: seconds per token, or bytes. */
export function costOf(summary: VariantSummary, cost: MeasuredCost): number | undefined {
  const { trainTokensPerSecond, peakBytes } = summary;
  if (!("length" in cost)) {
    if (cost.kind === "memory") return peakBytes?.mean;
    return trainTokensPerSecond === undefined ? undefined : 1 / trainTokensPerSecond.mean;
  }
  const step = stepAt(summary, cost.length);
  if (step === undefined) return undefined;
  return cost.kind === "step time" ? 1 / step.tokensPerSecond : step.peakBytes;
}

/** What can be counted in each model: these are the same whenever they are asked for. */
const counts: Readonly<Record<CountedCost["kind"], (cell: CellAbout, trainLength: number) => number | undefined>> = {
  parameters: ({ parameters }) => parameters,
  flops: ({ flopsPerToken }) => flopsPerToken,
  state: (cell, trainLength) => stateOfCell(cell, trainLength)?.bytes,
};

function isCounted(cost: Cost): cost is CountedCost {
  return cost.kind in counts;
}
