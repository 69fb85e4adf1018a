import { present } from "../../schema/present.ts";
import type { CompareRun, Comparison, TaskAbout } from "../results.ts";
import { bestFirst } from "../statistics/best-first.ts";
import { crossoversOf } from "../statistics/crossovers.ts";
import { paretoOf } from "../statistics/pareto.ts";
import { type RankedVariant, type Ranking, rankedVariants, rankingOf, taskOf } from "../statistics/ranking.ts";
import { compareSpreads, type SpreadComparison } from "../statistics/statistics.ts";
import { summarise, type VariantSummary } from "../statistics/summaries.ts";
import { adviceOf } from "../text/advice.ts";
import { budgetText } from "../text/budget-text.ts";
import { scoredText } from "../text/scored-text.ts";
import { curveBand } from "./curve-band.ts";
import { notesOf } from "./notes.ts";
import type { ParetoCost, ReportData, ResultData, RunData, TaskData, VariantData } from "./report-data.ts";
import { settingsTable } from "./settings-table.ts";

/** Sums a comparison up for the page that shows it. */
export function makeData(comparison: Comparison): ReportData {
  const { title, command, settings, startedAt, finishedAt, complete, environment, seeds, variants } = comparison;
  const summaries = summarise(comparison);
  return {
    title,
    command,
    settings: JSON.stringify(settings, null, 2) ?? "",
    startedAt,
    finishedAt,
    complete,
    environment,
    budget: budgetText(comparison),
    seeds,
    sentences: adviceOf(comparison),
    variants,
    tasks: comparison.tasks.map((task) =>
      taskData(
        comparison,
        task,
        summaries.filter((summary) => summary.task === task.label),
      ),
    ),
  };
}

function taskData(comparison: Comparison, task: TaskAbout, summaries: readonly VariantSummary[]): TaskData {
  const { label, name, objective, metrics, trainLength, lengths, baselines, example } = task;
  const title = titleOf(task, comparison.tasks);
  const runs = comparison.runs.filter((run) => run.task === label);
  const { metric } = taskOf(comparison, label);
  const [plain, pretrained] = [false, true].map((isPretrained) =>
    rankingOf(comparison, label, { pretrained: isPretrained }),
  ) as [Ranking, Ranking];
  const cells = comparison.cells.filter((cell) => cell.task === label);
  const first = bestFirst(
    summaries.filter((one) => !one.pretrained),
    plain,
  ).map(({ variant }) => variant);
  const known = comparison.variants.filter(
    (variant) =>
      cells.some((cell) => cell.variant === variant) || summaries.some((summary) => summary.variant === variant),
  );
  const shown = [...first, ...known.filter((variant) => !first.includes(variant))];
  const settings = settingsTable(shown.map((variant) => configOf(runs, variant)));
  const resultOf = (variant: string, isPretrained: boolean): ResultData | undefined => {
    const summary = summaries.find((one) => one.variant === variant && one.pretrained === isPretrained);
    if (summary === undefined) return undefined;
    const ranked = rankedVariants(isPretrained ? pretrained : plain).find((one) => one.variant === variant);
    const own = runs.filter((run) => run.variant === variant && run.pretrained === isPretrained);
    return resultData(summary, metric.name, own, ranked);
  };
  const changeOf = (variant: string): SpreadComparison | undefined => {
    const [before, after] = [plain, pretrained].map((ranking) =>
      rankedVariants(ranking).find((one) => one.variant === variant),
    );
    return before && after && compareSpreads(after.figure, before.figure, metric.better);
  };
  const beaten = (kind: ParetoCost) =>
    Object.fromEntries(
      paretoOf(comparison, label, { kind }).map(({ variant, beatenBy }) => [
        variant,
        beatenBy.map((other) => shown.indexOf(other)),
      ]),
    );
  return {
    about: { label, name, title, objective, metrics, trainLength, lengths, baselines, example },
    metric,
    seeds: plain.seeds,
    variants: shown.map((variant, i): VariantData => {
      const found = cells.find((cell) => cell.variant === variant);
      const { patterns = [], task: _task, variant: _variant, ...cell } = found ?? {};
      return {
        variant,
        ...(found !== undefined && { cell: cell as NonNullable<VariantData["cell"]> }),
        patterns,
        ...present({
          result: resultOf(variant, false),
          pretrained: resultOf(variant, true),
          change: changeOf(variant),
        }),
        steps: summaries.find((one) => one.variant === variant && one.steps !== undefined)?.steps ?? [],
        settings: settings.own[i]!,
      };
    }),
    crossovers: crossoversOf(
      summaries.filter((one) => !one.pretrained),
      present({ reference: plain.reference }),
    ),
    beatenBy: {
      time: beaten("time"),
      memory: beaten("memory"),
      parameters: beaten("parameters"),
      flops: beaten("flops"),
      state: beaten("state"),
    },
    trials: comparison.trials.filter((trial) => trial.task === label),
    notes: [...plainNotes(plain), ...notesOf(summaries)],
    runs: runs.map(runData),
    commonSettings: settings.common,
  };
}

/** Its title; where others have the same one, with the settings that its label has: `Text · data=a.txt`. */
function titleOf({ title, name, label }: TaskAbout, tasks: readonly TaskAbout[]): string {
  if (tasks.filter((other) => other.title === title).length === 1) return title;
  return label.startsWith(name) ? `${title}${label.slice(name.length)}` : `${title} (${label})`;
}

/** How well accuracies are known. */
function plainNotes(ranking: Ranking): string[] {
  const text = scoredText(ranking);
  return text === undefined ? [] : [text];
}

/** The settings of a variant, but for its seed. */
function configOf(runs: readonly CompareRun[], variant: string): unknown {
  const { seed: _, ...config } = { ...runs.find((run) => run.variant === variant)?.config, seed: undefined };
  return config;
}

/** An interval as its two ends; nothing with one seed. */
function boundsOf(interval: RankedVariant["interval"] | undefined): readonly [number, number] | undefined {
  const { low, high } = interval ?? {};
  return low === undefined || high === undefined ? undefined : [low, high];
}

function resultData(
  summary: VariantSummary,
  metric: string,
  runs: readonly CompareRun[],
  ranked: RankedVariant | undefined,
): ResultData {
  const { seeds, failures, metrics, byLength, trainTokensPerSecond, evalTokensPerSecond, peakBytes, seconds } = summary;
  const results = runs.flatMap(({ outcome }) => ("result" in outcome ? [outcome.result] : []));
  return {
    seeds,
    failures,
    ...present({ rank: ranked?.rank, place: ranked?.place, interval: boundsOf(ranked?.interval) }),
    metrics,
    byLength: byLength.map((cell) => {
      if ("missing" in cell) return cell;
      const figure = cell.metrics[metric];
      const { length, note } = cell;
      return figure === undefined ? { length, missing: "not measured" } : { length, figure, ...present({ note }) };
    }),
    ...present({ trainTokensPerSecond, evalTokensPerSecond, peakBytes, seconds }),
    trainCurve: curveBand(
      results.map(({ trainCurve }) => trainCurve),
      false,
    ),
    validCurve: curveBand(
      results.map(({ validCurve }) => validCurve),
      results.length > 1,
    ),
  };
}

function runData({ variant, seed, pretrained, outcome }: CompareRun): RunData {
  if ("failure" in outcome) return { variant, seed, pretrained, failure: outcome.failure };
  const { metrics, steps, tokens, seconds } = outcome.result;
  return { variant, seed, pretrained, metrics, steps, tokens, ...present({ seconds }), reused: outcome.reused };
}
