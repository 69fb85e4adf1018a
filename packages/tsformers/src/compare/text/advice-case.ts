import type { Comparison, TaskAbout } from "../results.ts";
import type { RankedVariant, Ranking } from "../statistics/ranking.ts";
import { measuredSteps } from "../statistics/step-costs.ts";
import type { VariantSummary } from "../statistics/summaries.ts";

/** With more variants than this, only those that are the best or on a Pareto front have a sentence each. */
export const many = 6;

/** All that is said of one task is said from. */
export type AdviceCase = {
  readonly comparison: Comparison;
  readonly task: TaskAbout;
  readonly summaries: readonly VariantSummary[];
  /** `on recall `, where there are several tasks. */
  readonly where: string;
  readonly ranking: Ranking;
  readonly learned: readonly RankedVariant[];
  readonly isTooEasy: boolean;
  /** Whether differences are worth a sentence: something was learned, and not everything by all. */
  readonly isTold: boolean;
  readonly length?: number;
};

/** The length at which costs are compared: the asked one; else the nearest below it, or the longest that most were measured at. */
export function costLength(given: AdviceCase): number | undefined {
  const lengths = measuredLengths(given);
  const { length } = given;
  if (length === undefined) return lengths.at(-1);
  return lengths.findLast((one) => one <= length) ?? lengths[0];
}

/** Lengths at which steps of at least two variants were measured, in their order. */
export function measuredLengths({ summaries }: AdviceCase): number[] {
  const counts = new Map<number, number>();
  for (const { length } of summaries.flatMap(measuredSteps)) counts.set(length, (counts.get(length) ?? 0) + 1);
  return [...counts].flatMap(([length, count]) => (count > 1 ? length : [])).sort((a, b) => a - b);
}
