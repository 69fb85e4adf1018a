import { type Ranking, rankedVariants } from "./ranking.ts";
import { longestStep, stepAt } from "./step-costs.ts";
import type { VariantSummary } from "./summaries.ts";

/**
 * The order in which tables and the report list the variants of a task: that of the ranking, then those without a rank, of them the fastest first at
 * the longest length at which steps were measured.
 */
export function bestFirst(summaries: readonly VariantSummary[], ranking: Ranking): VariantSummary[] {
  const places = new Map(rankedVariants(ranking).map(({ variant, place }) => [variant, place]));
  const place = ({ variant }: VariantSummary) => places.get(variant) ?? Number.MAX_SAFE_INTEGER;
  const longest = longestStep(summaries);
  const speed = (one: VariantSummary) => stepAt(one, longest)?.tokensPerSecond ?? 0;
  return [...summaries].sort((a, b) => place(a) - place(b) || speed(b) - speed(a));
}
