import { present } from "../../schema/present.ts";
import type { CellAbout, Comparison, MetricAbout, StepCost, TaskAbout } from "../results.ts";
import { crossoversOf, crossoverText } from "../statistics/crossovers.ts";
import { measuredReference } from "../statistics/full-attention.ts";
import { overallOf, type RankedVariant, type Ranking, rankedVariants, rankingOf } from "../statistics/ranking.ts";
import { stateOfCell } from "../statistics/state-of-cell.ts";
import { compareSpreads, intervalOfMean } from "../statistics/statistics.ts";
import { summarise, type VariantSummary } from "../statistics/summaries.ts";
import {
  budgetText,
  differenceText,
  estimateText,
  figureText,
  none,
  rankText,
  shortLabel,
  smallBytesText,
} from "./figure-text.ts";
import { bytesText, countText, multipleText } from "./figures.ts";
import { scoredText } from "./scored-text.ts";
import { counted, lengthText, listText, ratioText } from "./sentences.ts";
import type { TextTable } from "./text-table.ts";

export { shortLabel } from "./figure-text.ts";
export { renderTable, type TextTable } from "./text-table.ts";

/**
 * What a comparison prints: of several tasks an overview; of each task its ranking and figures by length; costs, and costs of a step by length,
 * on the task on which the longest steps were measured; below them where one variant is cheaper than another, and notes on marks and missing
 * cells.
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
    const cheaper = crossoversOf(given, present({ reference })).map(crossoverText);
    return { task, ranking, own: ordered(given, ranking), reference, cheaper };
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
        ...(one === withCosts ? costTable(comparison, one.task, one.own) : []),
        ...(one.ranking.seeds > 0 ? lengthTables(one.task, one.ranking, one.own, hasSeveral) : []),
        ...(one === withSteps ? stepTables(one.task, one.own, one.reference, { withFlops: !isTrained }) : []),
        ...pretrainingTable(comparison, one.task),
      ]),
    ],
    crossovers: togetherByTask(about.map(({ task, cheaper }) => ({ task: task.label, sentences: cheaper }))),
    notes: [
      ...rankingNotes(about.map(({ ranking }) => ranking).filter(({ seeds }) => seeds > 0)),
      ...(about.filter(({ own }) => own.length > 0).length > 1
        ? [`costs are shown on ${withCosts!.task.label}; the report has them on all tasks`]
        : []),
      ...parityNotes(comparison.cells),
      ...notesOf(summaries),
    ],
  };
}

/** Marks variants that are not equal to the others. */
const unequalMark = " †";

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
    title: `${task.label}: ${metric.label} at ${trainLengthText(comparison, task)} (test split), ${budgetText(comparison.budget)} each, ${counted(comparison.seeds, "seed")}`,
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

/** What training took, and what the models are. */
function costTable({ cells }: Comparison, task: TaskAbout, summaries: readonly VariantSummary[]): TextTable[] {
  const isTrained = summaries.some(({ trainTokensPerSecond }) => trainTokensPerSecond !== undefined);
  const marked = marker(cells, task);
  const rows = summaries.map((summary) => {
    const cell = cells.find((one) => one.task === task.label && one.variant === summary.variant);
    const state = stateOfCell(cell, task.trainLength);
    return [
      marked(summary.variant),
      ...(isTrained
        ? [
            optional(summary.trainTokensPerSecond, ({ mean }) => countText(mean)),
            optional(summary.evalTokensPerSecond, ({ mean }) => countText(mean)),
            optional(summary.peakBytes, ({ mean }) => bytesText(mean)),
          ]
        : []),
      optional(summary.parameters ?? cell?.parameters, countText),
      optional(state?.bytes, smallBytesText),
      optional(cell?.flopsPerToken, countText),
    ];
  });
  const header = [
    "variant",
    ...(isTrained ? ["train tok/s", "eval tok/s", "memory"] : []),
    "params",
    "state",
    "FLOPs/token",
  ];
  if (rows.length === 0) return [];
  return [{ title: `${task.label}: cost at length ${lengthText(task.trainLength)}`, header, rows }];
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

/** Time, memory and operations of a step by length, each also as a multiple of the reference's. */
function stepTables(
  task: TaskAbout,
  summaries: readonly VariantSummary[],
  reference: string | undefined,
  { withFlops }: { readonly withFlops: boolean },
): TextTable[] {
  const measured = summaries.filter(({ steps }) => steps !== undefined);
  const lengths = [...new Set(measured.flatMap(({ steps = [] }) => steps.map(({ length }) => length)))].sort(
    (a, b) => a - b,
  );
  if (lengths.length === 0) return [];
  const stepAt = (summary: VariantSummary | undefined, length: number): MeasuredStep | undefined => {
    const step = summary?.steps?.find((one) => one.length === length);
    return step === undefined || "missing" in step ? undefined : step;
  };
  const against = measured.find(({ variant }) => variant === reference);
  const compared = against === undefined || measured.length < 2 ? "" : `, and as a multiple of ${reference}`;
  const table = (title: string, text: (value: number) => string, of: (step: MeasuredStep) => number): TextTable => ({
    title: `${task.label}: ${title}${compared}`,
    header: ["variant", ...lengths.map((length) => lengthHeader(length, task.trainLength))],
    rows: measured.map((summary) => [
      summary.variant,
      ...lengths.map((length) => {
        const step = stepAt(summary, length);
        if (step === undefined) return none;
        const theirs = summary === against ? undefined : stepAt(against, length);
        return `${text(of(step))}${theirs === undefined ? "" : ` (${ratioText(of(step) / of(theirs))}×)`}`;
      }),
    ]),
  });
  return [
    table("tokens per second of a step forward and backward", countText, ({ tokensPerSecond }) => tokensPerSecond),
    table("peak memory of such a step", bytesText, ({ peakBytes }) => peakBytes),
    ...(withFlops ? [table("FLOPs per token of such a step", countText, ({ flopsPerToken }) => flopsPerToken)] : []),
  ];
}

/** The longest length at which a step was measured, or 0. */
function longestStep(summaries: readonly VariantSummary[]): number {
  return Math.max(
    0,
    ...summaries.flatMap(({ steps = [] }) => steps.flatMap((step) => ("missing" in step ? [] : step.length))),
  );
}

type MeasuredStep = Extract<StepCost, { tokensPerSecond: number }>;

/** What training on the task's own inputs first has changed. */
function pretrainingTable(comparison: Comparison, task: TaskAbout): TextTable[] {
  const [before, after] = [false, true].map((pretrained) => rankingOf(comparison, task.label, { pretrained }));
  const rows = rankedVariants(after!);
  if (rows.length === 0) return [];
  const { metric } = after!;
  return [
    {
      title: `${task.label}: ${metric.label} after training on the task's inputs first, under the same budget`,
      header: ["variant", "rank", "pre-trained", "not", "change"],
      rows: rows.map((row) => {
        const plain = rankedVariants(before!).find(({ variant }) => variant === row.variant);
        return [
          row.variant,
          `${optional(plain, ({ rank }) => rankText(rank))} → ${rankText(row.rank)}`,
          estimateText(row.interval),
          optional(plain, ({ interval }) => estimateText(interval)),
          optional(plain, ({ figure }) => differenceText(compareSpreads(row.figure, figure, metric.better))),
        ];
      }),
    },
  ];
}

/** What the reader must know of references, intervals, ranks and stars: what holds for all tasks once. */
function rankingNotes(rankings: readonly Ranking[]): string[] {
  if (rankings.length === 0) return [];
  const noted = (note: (ranking: Ranking) => string | undefined): string[] =>
    togetherByTask(
      rankings.map((ranking) => ({ task: ranking.task.label, sentences: [note(ranking) ?? []].flat() })),
      (sentence, tasks) => `${tasks}: ${sentence}`,
    );
  const isSingle = rankings.every(({ seeds }) => seeds === 1);
  const references = noted(
    ({ reference }) => reference && `reference (of "vs reference"): ${reference}, the best full attention here`,
  );
  const finite = noted(scoredText);
  if (isSingle) return [...references, ...finite, "one seed: the order may be chance; --seeds 3 tells more"];
  const singles = noted((ranking) => {
    const single = rankedVariants(ranking).filter(({ figure }) => figure.values.length === 1);
    if (single.length === 0) return undefined;
    return `${listText(single.map(({ variant }) => variant))}: one seed only, which can be told from nothing`;
  });
  return [
    ...references,
    "±: half of a 95 % interval over seeds (initial parameters, order of data); it does not cover that the test split is finite",
    ...finite,
    ranksNote(rankings),
    ...(references.length === 0 ? [] : ["*: the interval of the difference excludes 0"]),
    ...singles,
  ];
}

/** What ranks mean, with those of a ranking for an example. */
function ranksNote(rankings: readonly Ranking[]): string {
  const [shared] = rankings.flatMap((ranking) =>
    rankedVariants(ranking).flatMap(({ rank }) => (rank.from === 1 && rank.to > 1 ? rank : [])),
  );
  const first =
    shared === undefined
      ? "rank 1: better than all others"
      : `ranks as ${rankText(shared)}: these cannot be told from the best`;
  return `${first} (Holm's correction); further ranks are in the order of means`;
}

/** In what cells are not equal to the others: each phrase once. */
function parityNotes(cells: readonly CellAbout[]): string[] {
  const phrases = new Map<string, Set<string>>();
  for (const { variant, unequal } of cells)
    for (const phrase of unequal) phrases.set(phrase, (phrases.get(phrase) ?? new Set()).add(variant));
  return [...phrases].map(([phrase, variants]) => `† ${listText([...variants])}: ${phrase}`);
}

function marker(cells: readonly CellAbout[], task: TaskAbout): (variant: string) => string {
  const unequal = new Set(
    cells.flatMap((cell) => (cell.task === task.label && cell.unequal.length > 0 ? cell.variant : [])),
  );
  return (variant) => `${variant}${unequal.has(variant) ? unequalMark : ""}`;
}

/** In the order of the ranking; what has no rank comes last, in the order in which it was given. */
function ordered(summaries: readonly VariantSummary[], ranking: Ranking): VariantSummary[] {
  const places = new Map(rankedVariants(ranking).map(({ variant, place }) => [variant, place]));
  const place = ({ variant }: VariantSummary) => places.get(variant) ?? Number.MAX_SAFE_INTEGER;
  return [...summaries].sort((a, b) => place(a) - place(b));
}

/** `length 64`, or what is said where variants were trained at different ones. */
export function trainLengthText({ runs }: Comparison, { label, trainLength }: TaskAbout): string {
  const own = runs.filter(({ task }) => task === label);
  const isCommon = own.every(({ config }) => config.length === undefined || config.length === trainLength);
  return isCommon ? `length ${lengthText(trainLength)}` : "the training length of each";
}

/** What is said of tasks: with their names where it is not said of all. */
function togetherByTask(
  tasks: readonly { readonly task: string; readonly sentences: readonly string[] }[],
  onSome: (sentence: string, tasks: string) => string = (sentence, names) =>
    `On ${names}, ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`,
): string[] {
  const known = new Map<string, string[]>();
  for (const { task, sentences } of tasks)
    for (const sentence of sentences) known.set(sentence, [...(known.get(sentence) ?? []), task]);
  return [...known].map(([sentence, whose]) =>
    whose.length === tasks.length ? sentence : onSome(sentence, listText(whose)),
  );
}

/** Why cells are empty, and what must be known of others: each reason once, then every failed run. */
export function notesOf(summaries: readonly VariantSummary[]): string[] {
  const tasks = new Set(summaries.map(({ task }) => task));
  const there = summaries.filter(({ seeds, steps }) => seeds.length > 0 || steps !== undefined);
  const everyone = new Set(there.map(({ variant }) => variant));
  type Reason = { readonly mark: string; readonly text: string; readonly variant: string };
  // Reason and variant → task → places.
  const reasons = new Map<string, Reason & { readonly places: Map<string, string[]> }>();
  const add = ({ variant, task }: VariantSummary, place: string, text: string, mark = ""): void => {
    const key = JSON.stringify([text, variant]);
    const known = reasons.get(key) ?? { mark, text, variant, places: new Map() };
    known.places.set(task, [...new Set([...(known.places.get(task) ?? []), place])]);
    reasons.set(key, known);
  };
  for (const summary of there) {
    const { byLength, steps = [], seeds } = summary;
    for (const cell of seeds.length > 0 ? byLength : []) {
      if ("missing" in cell) add(summary, lengthText(cell.length), cell.missing);
      else if (cell.note !== undefined) add(summary, lengthText(cell.length), cell.note, "‡ ");
    }
    for (const step of steps) if ("missing" in step) add(summary, `a step at ${lengthText(step.length)}`, step.missing);
  }
  const alike = new Map<string, { mark: string; text: string; where: string; variants: string[] }>();
  for (const { mark, text, variant, places } of reasons.values()) {
    const where = placesText(places, tasks.size);
    const known = alike.get(`${text} ${where}`) ?? { mark, text, where, variants: [] };
    known.variants.push(variant);
    alike.set(`${text} ${where}`, known);
  }
  const told = [...alike.values()].map(({ mark, text, where, variants }) => {
    const whose = variants.length === everyone.size ? "" : `${listText(variants)} at `;
    return `${mark}${whose}${where}: ${text}`;
  });
  const failures = summaries.flatMap(({ task, variant, pretrained, failures }) =>
    failures.map((failure) => {
      const where = `${tasks.size > 1 ? `${task}, ` : ""}${variant}${pretrained ? " (pre-trained)" : ""}`;
      return `failed: ${where}, ${failure}`;
    }),
  );
  return [...told, ...failures];
}

/** `1,024 and 2,048`; with the tasks, where it is not so on all. */
function placesText(places: ReadonlyMap<string, readonly string[]>, tasks: number): string {
  const alike = new Map<string, string[]>();
  for (const [task, lengths] of places) {
    const text = listText(lengths);
    alike.set(text, [...(alike.get(text) ?? []), task]);
  }
  return [...alike]
    .map(([text, whose]) => (whose.length === tasks ? text : `${text} on ${listText(whose)}`))
    .join("; at ");
}

/** `2× (1,024)` */
function lengthHeader(length: number, trainLength: number): string {
  return `${multipleText(length, trainLength)} (${lengthText(length)})`;
}

function optional<T>(value: T | undefined, text: (value: T) => string): string {
  return value === undefined ? none : text(value);
}
