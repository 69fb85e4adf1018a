import { present } from "../../schema/present.ts";
import type { Baseline } from "../baselines.ts";
import type { Comparison, MetricAbout, TaskAbout } from "../results.ts";
import { fullAttentionOf } from "./full-attention.ts";
import {
  compareSpreads,
  type Estimate,
  intervalOfMean,
  marginOver,
  type SeededSpread,
  type SpreadComparison,
  seeded,
  toldFromFirst,
} from "./statistics.ts";
import { summarise, type VariantSummary } from "./summaries.ts";

/** A variant in a {@link Ranking}. */
export type RankedVariant = {
  readonly kind: "variant";
  readonly variant: string;
  readonly summary: VariantSummary;
  /** The ranking metric over seeds. */
  readonly figure: SeededSpread;
  readonly interval: Estimate;
  /** Where its mean stands among the variants, from 1. */
  readonly place: number;
  /** The ranks that it may have: 1 to k of those k that cannot be told from the best; of others their place in the order of means. */
  readonly rank: { readonly from: number; readonly to: number };
  /** Its difference from the reference; absent of the reference itself, and where there is none. */
  readonly toReference?: SpreadComparison;
  /** Its difference from the best; absent of the best itself. */
  readonly toBest?: SpreadComparison;
  /** Whether it is better than every baseline, by more than seeds and the finite test split may make: see `marginOver`. */
  readonly learned: boolean;
};

/** A baseline in a {@link Ranking}. */
export type RankedBaseline = { readonly kind: "baseline"; readonly baseline: Baseline; readonly figure: number };

/** The variants of one task, best first. */
export type Ranking = {
  readonly task: TaskAbout;
  readonly pretrained: boolean;
  /** By what they are ranked. */
  readonly metric: MetricAbout;
  /** The best full attention among the variants. */
  readonly reference?: string;
  /** In the order of means, baselines among the variants. */
  readonly rows: readonly (RankedVariant | RankedBaseline)[];
  /** Variants of which there is no figure, and why. */
  readonly unranked: readonly { readonly variant: string; readonly reason: string }[];
  /** Set where one variant alone is told from all others. */
  readonly winner?: string;
  /** The largest number of seeds that a ranked variant has; 0 where nothing is ranked. With 1 nothing can be told. */
  readonly seeds: number;
};

/** The variants of a ranking without its baselines. */
export function rankedVariants({ rows }: Ranking): RankedVariant[] {
  return rows.filter((row) => row.kind === "variant");
}

/**
 * Ranks the variants of a task by its ranking metric at the training length.
 *
 * Variants that cannot be told from the best share its ranks: the probabilities of their differences from it are corrected for their number
 * (Holm). Of the others the order is that of their means, without a claim that neighbours differ. With a single seed nothing can be told,
 * and all share all ranks.
 *
 * @throws RangeError for a task that the comparison does not have
 */
export function rankingOf(
  comparison: Comparison,
  taskLabel: string,
  { pretrained = false }: { readonly pretrained?: boolean } = {},
): Ranking {
  const { task, metric } = taskOf(comparison, taskLabel);
  const summaries = summarise(comparison).filter((one) => one.task === taskLabel && one.pretrained === pretrained);
  const candidates = summaries.map((summary) => ({ summary, figure: figureOf(summary, metric) }));
  const sorted = candidates
    .flatMap(({ summary, figure }) =>
      figure === undefined || !Number.isFinite(figure.mean) ? [] : [{ summary, figure }],
    )
    .sort((a, b) => order(metric, a.figure.mean, b.figure.mean));
  const plain = new Set(fullAttentionOf(comparison));
  const reference = sorted.find(({ summary }) => plain.has(summary.variant));
  const told = toldFromFirst(
    sorted.map(({ figure }) => figure),
    metric.better,
  );
  const shared = told.filter(({ isTold }) => !isTold).length;
  let next = shared + 1;
  const hurdle = bestBaseline(task, metric);
  const variants = sorted.map(({ summary, figure }, i): RankedVariant => {
    const rank = told[i]!.isTold ? { from: next, to: next++ } : { from: 1, to: shared };
    const interval = intervalOfMean(figure);
    return {
      kind: "variant",
      variant: summary.variant,
      summary,
      figure,
      interval,
      place: i + 1,
      rank,
      ...(reference !== undefined &&
        reference.summary !== summary && {
          toReference: compareSpreads(figure, reference.figure, metric.better),
        }),
      ...(i > 0 && { toBest: told[i]!.toFirst }),
      learned: hurdle === undefined || isBeyond(metric, figure, hurdle),
    };
  });
  const baselines = task.baselines.flatMap((baseline): RankedBaseline[] => {
    const figure = baseline.metrics[metric.name];
    return figure === undefined ? [] : [{ kind: "baseline", baseline, figure }];
  });
  const meanOf = (row: RankedVariant | RankedBaseline) => (row.kind === "variant" ? row.figure.mean : row.figure);
  return {
    task,
    pretrained,
    metric,
    ...present({ reference: reference?.summary.variant }),
    rows: [...variants, ...baselines].sort((a, b) => order(metric, meanOf(a), meanOf(b))),
    unranked: candidates.flatMap(({ summary, figure }) =>
      figure !== undefined && Number.isFinite(figure.mean)
        ? []
        : [{ variant: summary.variant, reason: reasonOf(summary, figure, metric) }],
    ),
    ...(shared === 1 && variants.length > 1 && { winner: variants[0]!.variant }),
    seeds: Math.max(0, ...variants.map(({ figure }) => figure.values.length)),
  };
}

/** How a variant did over all tasks of a comparison. */
export type OverallRow = {
  readonly variant: string;
  /** The ranking metric of each task, in the order of tasks. */
  readonly figures: readonly (SeededSpread | undefined)[];
  /** Mean of the ranking metrics; absent where tasks have different ones, and of variants that a task is missing of. */
  readonly meanFigure?: number;
  /** Mean place in the order of means; absent of variants that a task is missing of. */
  readonly meanPlace?: number;
  /** Tasks in which it alone was told from all others. */
  readonly won: number;
  /** Tasks in which it could not be told from the best, or was the best and could not be told from another. */
  readonly tied: number;
  /** Tasks of which there are figures. */
  readonly tasks: number;
};

/** All variants over all tasks, the lowest mean place first. */
export function overallOf(
  comparison: Comparison,
  { pretrained = false }: { readonly pretrained?: boolean } = {},
): OverallRow[] {
  const rankings = comparison.tasks
    .map(({ label }) => rankingOf(comparison, label, { pretrained }))
    .filter((ranking) => ranking.seeds > 0);
  const isCommon = new Set(rankings.map(({ metric }) => metric.name)).size === 1;
  const rows = comparison.variants.map((variant): OverallRow => {
    const found = rankings.map((ranking) => rankedVariants(ranking).find((row) => row.variant === variant));
    const there = found.filter((row) => row !== undefined);
    const isWhole = there.length === found.length && there.length > 0;
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      variant,
      figures: comparison.tasks.map(({ label }) => there.find(({ summary }) => summary.task === label)?.figure),
      ...(isWhole && isCommon && { meanFigure: mean(there.map(({ figure }) => figure.mean)) }),
      ...(isWhole && { meanPlace: mean(there.map(({ place }) => place)) }),
      won: rankings.filter(({ winner }) => winner === variant).length,
      tied: there.filter(({ rank }) => rank.from === 1 && rank.to > 1).length,
      tasks: there.length,
    };
  });
  const last = Number.POSITIVE_INFINITY;
  return rows.filter(({ tasks }) => tasks > 0).sort((a, b) => (a.meanPlace ?? last) - (b.meanPlace ?? last));
}

/** Whether a ranking stayed what it was when all variants were first trained on the task's own inputs. */
export type Survival = {
  /** Kendall's τ-b between the two orders: 1 the same, −1 reversed. Absent with fewer than two variants, or where all are equal. */
  readonly tau?: number;
  /** Variants that have both figures. */
  readonly variants: readonly string[];
  /** Pairs of which the other one is better now. */
  readonly swapped: readonly {
    /** Better without pre-training. */
    readonly before: string;
    /** Better with it. */
    readonly after: string;
    /** Whether both differences are beyond chance. */
    readonly isTold: boolean;
  }[];
};

/**
 * Compares the rankings of a task with and without pre-training; nothing where there was none.
 *
 * @source Kendall 1945, "The Treatment of Ties in Ranking Problems", Biometrika 33
 */
export function survivalOf(comparison: Comparison, taskLabel: string): Survival | undefined {
  const { metric } = taskOf(comparison, taskLabel);
  const [plain, trained] = [false, true].map((pretrained) =>
    rankedVariants(rankingOf(comparison, taskLabel, { pretrained })),
  );
  const both = plain!.flatMap((row) => {
    const later = trained!.find(({ variant }) => variant === row.variant);
    return later === undefined ? [] : [{ variant: row.variant, plain: row.figure, trained: later.figure }];
  });
  if (trained!.length === 0) return undefined;
  const swapped: Survival["swapped"][number][] = [];
  let [score, differ, differLater] = [0, 0, 0];
  both.forEach((one, i) => {
    for (const other of both.slice(i + 1)) {
      const now = Math.sign(order(metric, one.plain.mean, other.plain.mean));
      const later = Math.sign(order(metric, one.trained.mean, other.trained.mean));
      score += now * later;
      differ += now ** 2;
      differLater += later ** 2;
      if (now * later >= 0) continue;
      const verdicts = [
        compareSpreads(one.plain, other.plain, metric.better).verdict,
        compareSpreads(one.trained, other.trained, metric.better).verdict,
      ];
      const isTold = verdicts.includes("better") && verdicts.includes("worse");
      swapped.push({ before: (now < 0 ? one : other).variant, after: (now < 0 ? other : one).variant, isTold });
    }
  });
  return {
    ...(differ > 0 && differLater > 0 && { tau: score / Math.sqrt(differ * differLater) }),
    variants: both.map(({ variant }) => variant),
    swapped,
  };
}

/** A task of a comparison and the metric that ranks it. @throws RangeError for a task that it does not have */
export function taskOf({ tasks }: Comparison, label: string): { task: TaskAbout; metric: MetricAbout } {
  const task = tasks.find((one) => one.label === label);
  if (task === undefined) {
    const known = tasks.map((one) => one.label).join(", ");
    throw new RangeError(`the comparison has no task ${JSON.stringify(label)}; it has ${known}`);
  }
  return { task, metric: task.metrics.find(({ name }) => name === task.ranking) ?? task.metrics[0]! };
}

/** A metric of a variant at the training length, with the seeds that it is of. */
export function figureOf({ metrics, seeds, scored }: VariantSummary, metric: MetricAbout): SeededSpread | undefined {
  const spread = metrics[metric.name];
  if (spread === undefined || spread.values.length === 0) return undefined;
  return seeded(spread, seeds, isAccuracy(metric) ? scored?.rows : undefined);
}

/** Whether a metric is a share of right answers: of the metrics that there are, those of which more is better. */
export function isAccuracy({ better }: Pick<MetricAbout, "better">): boolean {
  return better === "higher";
}

/** Negative where the first is better. */
export function order({ better }: Pick<MetricAbout, "better">, a: number, b: number): number {
  return better === "lower" ? a - b : b - a;
}

/** The best figure that an answer has which does not look at the row. */
export function bestBaseline({ baselines }: TaskAbout, metric: MetricAbout): number | undefined {
  const figures = baselines
    .flatMap(({ metrics, knowsAnswers }) => (knowsAnswers ? [] : (metrics[metric.name] ?? [])))
    .filter(Number.isFinite);
  return figures.sort((a, b) => order(metric, a, b))[0];
}

/** With a single seed at least by so much of what is left between the baseline and the best that there can be, 0 or 1. */
const clearShare = 0.02;

/** Whether a figure is better than a baseline beyond doubt. */
export function isBeyond(metric: Pick<MetricAbout, "better">, figure: SeededSpread, hurdle: number): boolean {
  const most = metric.better === "lower" ? 0 : Math.max(1, hurdle);
  const least = figure.values.length < 2 ? Math.abs(most - hurdle) * clearShare : 0;
  return order(metric, figure.mean, hurdle) < -Math.max(marginOver(figure, hurdle), least);
}

function reasonOf(
  { failures, seeds }: VariantSummary,
  figure: SeededSpread | undefined,
  { label }: MetricAbout,
): string {
  if (failures.length > 0 && seeds.length === 0) return failures[0]!;
  if (figure === undefined) return seeds.length === 0 ? "not trained" : "not measured";
  const bad = figure.values.flatMap((value, i) => (Number.isFinite(value) ? [] : [seeds[i] ?? i]));
  return `${label} is not a number under ${bad.length === 1 ? "seed" : "seeds"} ${bad.join(", ")}`;
}
