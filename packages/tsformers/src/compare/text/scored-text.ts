import type { Scored } from "../results.ts";
import { isAccuracy, type Ranking, rankedVariants } from "../statistics/ranking.ts";
import { evaluationMargin, leastRows } from "../statistics/statistics.ts";
import { figureText } from "./figure-text.ts";
import { counted, lengthText } from "./sentences.ts";

/** The least that a ranked variant was scored on; nothing where results do not say it. */
export function leastScored(ranking: Ranking): Scored | undefined {
  const all = rankedVariants(ranking).map(({ summary }) => summary.scored);
  if (all.length === 0 || all.includes(undefined)) return undefined;
  const least = (of: keyof Scored) => Math.min(...all.map((scored) => scored![of]));
  return { tokens: least("tokens"), rows: least("rows") };
}

/**
 * How well the accuracies of a ranking are known, as only so much of a test split is scored: `512 test rows are scored: accuracies near 0.5 are
 * known to ± 0.043 (95 %)`. Nothing of losses.
 */
export function scoredText(ranking: Ranking): string | undefined {
  const scored = leastScored(ranking);
  if (scored === undefined || !isAccuracy(ranking.metric)) return undefined;
  const { rows, tokens } = scored;
  const margin = (count: number) => `± ${figureText(evaluationMargin(0.5, count))}`;
  const isWhole = ranking.metric.name === "exactAccuracy" || tokens <= rows;
  const answers = isWhole ? "" : `, with ${lengthText(Math.round(tokens / rows))} answers each`;
  const within = isWhole ? "" : `, or to ${margin(tokens)} if the answers of a row have nothing to do with each other`;
  const few =
    ranking.seeds > 1
      ? `; from a difference of fewer than ${leastRows} rows (${figureText(leastRows / rows)}) nothing is concluded`
      : "";
  return `${counted(rows, "test row")} ${rows === 1 ? "is" : "are"} scored${answers}: accuracies near 0.5 are known to ${margin(rows)} (95 %)${within}${few}`;
}
