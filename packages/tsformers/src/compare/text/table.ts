import { present } from "../../schema/present.ts";
import type { Comparison, MetricAbout, TaskAbout } from "../results.ts";
import { bestFirst } from "../statistics/best-first.ts";
import { areCrossoversInTables, crossoversOf, crossoverText } from "../statistics/crossovers.ts";
import { measuredReference } from "../statistics/full-attention.ts";
import { overallOf, type RankedVariant, type Ranking, rankedVariants, rankingOf } from "../statistics/ranking.ts";
import { compareSpreads, intervalOfMean } from "../statistics/statistics.ts";
import { longestStep } from "../statistics/step-costs.ts";
import { summarise, type VariantSummary } from "../statistics/summaries.ts";
import { budgetText } from "./budget-text.ts";
import { costTable, crossoverNote, stepCostTable, stepTables } from "./cost-tables.ts";
import {
  differenceText,
  estimateText,
  figureText,
  lengthHeader,
  none,
  optional,
  rankText,
  shortLabel,
} from "./figure-text.ts";
import { notesOf, rankingNotes, speedNotes, togetherByTask } from "./notes.ts";
import { marker, parityNotes } from "./parity-text.ts";
import { counted, lengthText, listText } from "./sentences.ts";
import type { TextTable } from "./text-table.ts";

export { shortLabel } from "./figure-text.ts";
export { renderTable, type TextTable } from "./text-table.ts";

/**
 * What a comparison prints: of several tasks an overview; of each task its ranking and figures by length; costs, and costs of a step by length,
 * on the task on which the longest steps were measured; below them where one variant is cheaper than another, of many variants as a column of
 * tables; and notes on marks and missing cells.
 */
export function comparisonTables(comparison: Comparison): {
  readonly tables: TextTable[];
  readonly crossovers: string[];
  readonly notes: string[];
} {
  const summaries = summarise(comparison);
  const { tasks } = comparison;
  const about = tasks.map((task) => {
    const ranking = rankingOf(comparison, task.label);
    const given = summaries.filter((one) => one.task === task.label && !one.pretrained);
    const reference = ranking.reference ?? measuredReference(comparison, given);
    const isInTables = areCrossoversInTables(given, reference);
    const cheaper = isInTables ? [] : crossoversOf(given, present({ reference })).map(crossoverText);
    return { task, ranking, own: bestFirst(given, ranking), reference, cheaper, isInTables };
  });
  const hasSeveral = tasks.length > 1;
  const isMeasured = ({ own }: (typeof about)[number]) => own.some(({ steps }) => steps !== undefined);
  // Costs are much the same on all tasks; the report has them all.
  const withSteps = [...about].sort((a, b) => longestStep(b.own) - longestStep(a.own)).find(isMeasured);
  const withCosts = withSteps ?? about.find(({ own }) => own.length > 0);
  const isTrained = about.some(({ ranking }) => ranking.seeds > 0);
  return {
    tables: [
      ...(hasSeveral && isTrained ? [overviewTable(comparison)] : []),
      ...about.flatMap((one) => [
        ...(one.ranking.seeds > 0 ? [rankingTable(comparison, one.ranking)] : []),
        ...(one === withCosts
          ? isTrained || one !== withSteps
            ? costTable(comparison, one.task, one.own)
            : stepCostTable(comparison, one.task, one.own, one.reference)
          : []),
        ...(one.ranking.seeds > 0 ? lengthTables(one.task, one.ranking, one.own, hasSeveral) : []),
        ...(one === withSteps ? stepTables(one.task, one.own, one.reference, { isTrained }) : []),
        ...pretrainingTable(comparison, one.task),
      ]),
    ],
    crossovers: shortened(togetherByTask(about.map(({ task, cheaper }) => ({ task: task.label, sentences: cheaper })))),
    notes: [
      ...rankingNotes(about.map(({ ranking }) => ranking).filter(({ seeds }) => seeds > 0)),
      ...(about.filter(({ own }) => own.length > 0).length > 1
        ? [`costs are shown on ${withCosts!.task.label}; the report has them on all tasks`]
        : []),
      ...(withSteps?.isInTables ? crossoverNote(withSteps.own, withSteps.reference!) : []),
      ...speedNotes(comparison.costs),
      ...parityNotes(comparison.cells),
      ...notesOf(summaries),
    ],
  };
}

/** Many variants without a reference overtake each other at many places. */
const mostCrossovers = 8;

function shortened(sentences: readonly string[]): string[] {
  const left = sentences.length - mostCrossovers;
  if (left < 2) return [...sentences];
  return [
    ...sentences.slice(0, mostCrossovers),
    `The report has ${lengthText(left)} more places where variants overtake each other.`,
  ];
}

/** The ranking metric of every variant on every task, and what they come to. */
function overviewTable(comparison: Comparison): TextTable {
  const rankings = comparison.tasks.map(({ label }) => rankingOf(comparison, label));
  const rows = overallOf(comparison);
  // Tasks may have variants of their own, none of which is on all.
  const hasPlace = rows.some(({ meanPlace }) => meanPlace !== undefined);
  const hasMean = rows.some(({ meanFigure }) => meanFigure !== undefined);
  const [first] = rankings;
  const isCommon = rankings.every(({ metric }) => metric.name === first!.metric.name);
  const hasSeveral = rankings.some(({ seeds }) => seeds > 1);
  const cell = (variant: string, ranking: Ranking): string => {
    const row = rankedVariants(ranking).find((one) => one.variant === variant);
    if (row === undefined) return ranking.unranked.some((one) => one.variant === variant) ? "failed" : none;
    return `${figureText(row.figure.mean)}${ranking.seeds > 1 ? ` (${rankText(row.rank)})` : ""}`;
  };
  return {
    title: `All tasks: ${isCommon ? first!.metric.label : metricsText(rankings)} (test split)${hasSeveral ? ", in brackets the rank" : ""}`,
    header: [
      "variant",
      ...rankings.map(({ task }) => task.label),
      ...(hasMean ? ["mean"] : []),
      ...(hasPlace ? ["mean place"] : []),
      ...(hasSeveral ? ["won", "tied"] : []),
    ],
    rows: rows.map(({ variant, meanFigure, meanPlace, won, tied }) => [
      variant,
      ...rankings.map((ranking) => cell(variant, ranking)),
      ...(hasMean ? [optional(meanFigure, figureText)] : []),
      ...(hasPlace ? [optional(meanPlace, (place) => String(Number(place.toFixed(2))))] : []),
      ...(hasSeveral ? [String(won), String(tied)] : []),
    ]),
  };
}

/** `bits/char on text, accuracy on listops and majority` */
function metricsText(rankings: readonly Ranking[]): string {
  const labels = [...new Set(rankings.map(({ metric }) => metric.label))];
  const texts = labels.map((label) => {
    const whose = rankings.filter(({ metric }) => metric.label === label).map(({ task }) => task.label);
    return `${shortLabel(label)} on ${listText(whose)}`;
  });
  return texts.join("; ");
}

/** Rank, ranking metric, other metrics and the difference from the reference; baselines as rows. */
function rankingTable(comparison: Comparison, ranking: Ranking): TextTable {
  const { task, metric, rows, unranked, seeds, reference } = ranking;
  const others = task.metrics.filter(({ name }) => name !== metric.name);
  const marked = marker(comparison.cells, task);
  const figure = ({ summary }: RankedVariant, { name }: MetricAbout) =>
    optional(summary.metrics[name]?.mean, figureText);
  const difference = (row: RankedVariant) =>
    row.toReference !== undefined ? differenceText(row.toReference) : row.variant === reference ? "reference" : none;
  const columns = 2 + others.length + (reference === undefined ? 0 : 1);
  return {
    title: `${task.label}: ${metric.label} at ${trainLengthText(comparison, task)} (test split), ${budgetText(comparison, task.label)} each, ${counted(comparison.seeds, "seed")}`,
    header: [
      "variant",
      // With one seed nobody knows more than the order.
      seeds > 1 ? "rank" : "order",
      shortLabel(metric.label),
      ...others.map(({ label }) => shortLabel(label)),
      ...(reference === undefined ? [] : ["vs reference"]),
    ],
    rows: [
      ...rows.map((row) =>
        row.kind === "baseline"
          ? [
              `${row.baseline.name} (${row.baseline.knowsAnswers ? "oracle" : "baseline"})`,
              none,
              figureText(row.figure),
              ...others.map(({ name }) => optional(row.baseline.metrics[name], figureText)),
              ...(reference === undefined ? [] : [none]),
            ]
          : [
              marked(row.variant),
              seeds > 1 ? rankText(row.rank) : `${row.place}`,
              estimateText(row.interval),
              ...others.map((other) => figure(row, other)),
              ...(reference === undefined ? [] : [difference(row)]),
            ],
      ),
      ...unranked
        .filter(({ reason }) => reason !== "not trained")
        .map(({ variant }) => [marked(variant), "failed", ...Array<string>(columns - 1).fill(none)]),
    ],
  };
}

/** The ranking metric by length, and of a single task the loss where it is another. Nothing where there are figures at one length only. */
function lengthTables(
  task: TaskAbout,
  { metric }: Ranking,
  summaries: readonly VariantSummary[],
  hasSeveral: boolean,
): TextTable[] {
  const { lengths, trainLength } = task;
  const isAt = (length: number) =>
    summaries.some(({ byLength }) => byLength.some((cell) => cell.length === length && "metrics" in cell));
  if (lengths.filter(isAt).length < 2) return [];
  const [loss] = task.metrics;
  const metrics = loss === undefined || loss.name === metric.name || hasSeveral ? [metric] : [metric, loss];
  return metrics.map(({ name, label }) => ({
    title: `${task.label}: ${label} by length, trained at ${lengthText(trainLength)}`,
    header: ["variant", ...lengths.map((length) => lengthHeader(length, trainLength))],
    rows: summaries.map(({ variant, byLength }) => [
      variant,
      ...byLength.map((cell) => {
        if ("missing" in cell) return cell.missing === "failed" ? "failed" : none;
        const spread = cell.metrics[name];
        return spread === undefined
          ? none
          : `${estimateText(intervalOfMean(spread))}${cell.note === undefined ? "" : " ‡"}`;
      }),
    ]),
  }));
}

/** What training on the task's own inputs first has changed. */
function pretrainingTable(comparison: Comparison, task: TaskAbout): TextTable[] {
  const [before, after] = [false, true].map((pretrained) => rankingOf(comparison, task.label, { pretrained }));
  const rows = rankedVariants(after!);
  if (rows.length === 0) return [];
  const { metric, seeds } = after!;
  const standing = ({ rank, place }: RankedVariant) => (seeds > 1 ? rankText(rank) : `${place}`);
  return [
    {
      title: `${task.label}: ${metric.label} after training on the task's inputs first, under the same budget`,
      header: ["variant", seeds > 1 ? "rank" : "order", "pre-trained", "not", "change"],
      rows: rows.map((row) => {
        const plain = rankedVariants(before!).find(({ variant }) => variant === row.variant);
        return [
          row.variant,
          `${optional(plain, standing)} → ${standing(row)}`,
          estimateText(row.interval),
          optional(plain, ({ interval }) => estimateText(interval)),
          optional(plain, ({ figure }) => differenceText(compareSpreads(row.figure, figure, metric.better))),
        ];
      }),
    },
  ];
}

/** `length 64`, or what is said where variants were trained at different ones. */
export function trainLengthText({ runs }: Comparison, { label, trainLength }: TaskAbout): string {
  const own = runs.filter(({ task }) => task === label);
  const isCommon = own.every(({ config }) => config.length === undefined || config.length === trainLength);
  return isCommon ? `length ${lengthText(trainLength)}` : "the training length of each";
}
