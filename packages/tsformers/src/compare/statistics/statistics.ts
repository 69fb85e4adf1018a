import { bothTails, criticalT } from "./student-t.ts";
import type { Spread } from "./summaries.ts";

/*
 * What an interval here covers: runs under other seeds, that is other initial parameters, dropout and order of training examples, of the same
 * configuration on the same data. It does not cover that the test split is finite: other rows shift the figures of all variants, and much less
 * their differences, which are of the same rows.
 *
 * Accuracies are shares of rows, so this other part is known in two cases. Against a baseline (`marginOver`) both errors are added. Of two
 * variants, what decides is on how many rows they differ, which results do not say; a claim is about this test split, and is not made at all
 * where fewer than `leastRows` rows make the whole difference. Of losses nothing is known of that error: it needs the variance over rows.
 */

/** The share of intervals that contain what they estimate, if figures vary from seed to seed as normal variables do. */
export const confidence = 0.95;

/**
 * Standard deviations are taken to be at least this share of the figure. Three seeds that all end at an accuracy of 1.000 have no deviation that
 * could be estimated; they do not show that there is none.
 */
export const resolution = 1e-3;

/**
 * Of two models that answer otherwise on some rows, and are equally good, one is right on all of five such rows in 1 of 16 tests, and on all of
 * six in 1 of 32 (sign test, two sides): fewer than six rows tell nothing, whoever was right on them.
 */
export const leastRows = 6;

/** An estimate, with its interval if there are enough seeds for one. */
export type Estimate = { readonly mean: number; readonly low?: number; readonly high?: number };

/** `better`: the interval of the difference excludes 0. `cannot tell`: it does not. `one seed`: there is no interval. */
export type Verdict = "better" | "worse" | "cannot tell" | "one seed";

/** How a figure differs from another. */
export type SpreadComparison = {
  /** Mean of the first less that of the second. */
  readonly difference: number;
  /** The 95 % interval of the difference. Absent where one of the two has a single seed or a figure that is not finite. */
  readonly low?: number;
  readonly high?: number;
  /** Of the first, in the sense of the metric. */
  readonly verdict: Verdict;
  /** The probability of such a difference or a larger one between equals. Absent as the interval is. */
  readonly p?: number;
  /** Whether runs of the same seeds were compared with each other. */
  readonly paired: boolean;
  /** Set where the interval excludes 0, but so few rows of the test split make the difference that nothing is told. */
  readonly fewRows?: number;
};

/** A {@link Spread} that says which seeds its values are of, in their order, and of accuracies, of how many rows they are shares. */
export type SeededSpread = Spread & { readonly seeds?: readonly number[]; readonly rows?: number };

/**
 * Values with the seeds that they are of; without where some of the seeds have none.
 *
 * @param rows of an accuracy: the scored rows of which it is a share. Answers within a row depend on each other, so that rows are counted, not
 *   answers
 */
export function seeded(spread: Spread, seeds: readonly number[], rows?: number): SeededSpread {
  return {
    ...spread,
    ...(spread.values.length === seeds.length && { seeds }),
    ...(rows !== undefined && { rows }),
  };
}

/** The 95 % interval of a mean over seeds, `mean ± t(0.975, n − 1) · s / √n`; none for a single seed. */
export function intervalOfMean({ values, mean }: Spread): Estimate {
  if (values.length < 2 || !values.every(Number.isFinite)) return { mean };
  const error = deviationOf(values, Math.abs(mean)) / Math.sqrt(values.length);
  const half = criticalT(confidence, values.length - 1) * error;
  return { mean, low: mean - half, high: mean + half };
}

/**
 * Compares two figures over seeds. Where at least two seeds are common to both, the runs of each seed are compared with each other: they start
 * from the same random numbers and read the same rows, and what these have in common drops out (paired t). Otherwise variances are taken to be
 * different (Welch's t). Of accuracies nothing is told where fewer than {@link leastRows} rows make the difference.
 *
 * @source Welch 1947, "The generalization of 'Student's' problem when several different population variances are involved", Biometrika 34
 */
export function compareSpreads(a: SeededSpread, b: SeededSpread, better: "lower" | "higher"): SpreadComparison {
  const pairs = pairsOf(a, b);
  const paired = pairs.length > 1;
  const difference = paired ? meanOf(pairs.map(([one, other]) => one - other)) : a.mean - b.mean;
  if (a.values.length < 2 || b.values.length < 2) return { difference, verdict: "one seed", paired: false };
  if (![...a.values, ...b.values].every(Number.isFinite)) return { difference, verdict: "cannot tell", paired };
  const size = Math.max(Math.abs(a.mean), Math.abs(b.mean));
  const { error, freedom } = paired
    ? pairedError(
        pairs.map(([one, other]) => one - other),
        size,
      )
    : welchError(a.values, b.values, size);
  // Only of zeros alone: nothing differs, and nothing can be estimated.
  if (error === 0) return { difference, low: difference, high: difference, verdict: "cannot tell", p: 1, paired };
  const half = criticalT(confidence, freedom) * error;
  const [low, high] = [difference - half, difference + half];
  const isLess = high < 0;
  const isMore = low > 0;
  const found = { difference, low, high, p: bothTails(difference / error, freedom), paired };
  if (!isLess && !isMore) return { ...found, verdict: "cannot tell" };
  const rows = Math.abs(difference) * Math.min(a.rows ?? Number.POSITIVE_INFINITY, b.rows ?? Number.POSITIVE_INFINITY);
  // Shares times rows are whole numbers but for rounding.
  if (rows < leastRows - 1e-6) return { ...found, verdict: "cannot tell", fewRows: rows };
  return { ...found, verdict: isLess === (better === "lower") ? "better" : "worse" };
}

/**
 * Holm's correction of probabilities that are looked at together, such as those of the best against each of the others: below 0.05 are then, in
 * at most one of twenty comparisons between equals, any of them at all.
 *
 * @source Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6
 */
export function holm(probabilities: readonly number[]): number[] {
  const order = probabilities.map((_, i) => i).sort((i, j) => probabilities[i]! - probabilities[j]!);
  const corrected = new Array<number>(probabilities.length);
  let least = 0;
  order.forEach((i, place) => {
    least = Math.max(least, Math.min(1, (order.length - place) * probabilities[i]!));
    corrected[i] = least;
  });
  return corrected;
}

/**
 * Compares the first of several figures with each of the others: which of them are told to be worse, corrected for their number by {@link holm}.
 *
 * @param figures the best first
 */
export function toldFromFirst(
  figures: readonly SeededSpread[],
  better: "lower" | "higher",
): { readonly toFirst: SpreadComparison; readonly isTold: boolean }[] {
  const found = figures.map((figure) => compareSpreads(figure, figures[0]!, better));
  const corrected = holm(found.slice(1).map(({ p = 1 }) => p));
  return found.map((toFirst, i) => ({
    toFirst,
    isTold: i > 0 && toFirst.verdict === "worse" && corrected[i - 1]! < 1 - confidence,
  }));
}

/**
 * The standard error that an accuracy has because only so many answers were scored, `√(p (1 − p) / n)`. Two are added to the answers, one right
 * and one wrong, so that it is not 0 where all are right. Answers within a row depend on each other: with their number for `scored` the error is
 * a lower bound, with the number of rows an upper one.
 *
 * @param scored how many answers were scored
 */
export function evaluationError(accuracy: number, scored: number): number {
  const share = (accuracy * scored + 1) / (scored + 2);
  return Math.sqrt((share * (1 - share)) / (scored + 2));
}

/** The 97.5 % quantile of the normal distribution. */
const normalQuantile = 1.959964;

/** Half of the 95 % interval of an accuracy on so many rows, under one seed. */
export function evaluationMargin(accuracy: number, rows: number): number {
  return normalQuantile * evaluationError(accuracy, rows);
}

/**
 * By how much a mean must lie beyond a baseline to be better than it, with 95 % confidence: half of its interval over seeds, and of accuracies
 * the errors that both have because the test split is finite, as those of independent answers: `√(seeds² + own² + baseline²)`.
 */
export function marginOver(figure: SeededSpread, baseline: number): number {
  const { low = figure.mean, high = figure.mean } = intervalOfMean(figure);
  const { rows, mean } = figure;
  const finite = rows === undefined ? [] : [evaluationMargin(mean, rows), evaluationMargin(baseline, rows)];
  return Math.hypot((high - low) / 2, ...finite);
}

/** Values of the seeds that both have. */
function pairsOf(a: SeededSpread, b: SeededSpread): (readonly [number, number])[] {
  const { seeds: others } = b;
  if (a.seeds === undefined || others === undefined) return [];
  return a.seeds.flatMap((seed, i) => {
    const j = others.indexOf(seed);
    return j < 0 ? [] : [[a.values[i]!, b.values[j]!] as const];
  });
}

function pairedError(differences: readonly number[], size: number): { error: number; freedom: number } {
  const count = differences.length;
  return { error: deviationOf(differences, size) / Math.sqrt(count), freedom: count - 1 };
}

function welchError(a: readonly number[], b: readonly number[], size: number): { error: number; freedom: number } {
  const shares = [a, b].map((values) => ({
    square: deviationOf(values, size) ** 2 / values.length,
    freedom: values.length - 1,
  }));
  const sum = shares.reduce((total, { square }) => total + square, 0);
  const parts = shares.reduce((total, { square, freedom }) => total + square ** 2 / freedom, 0);
  return { error: Math.sqrt(sum), freedom: sum === 0 ? 1 : sum ** 2 / parts };
}

/** The sample standard deviation, at least {@link resolution} of the figures' size. */
function deviationOf(values: readonly number[], size: number): number {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.max(Math.sqrt(squares / (values.length - 1)), resolution * size);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
