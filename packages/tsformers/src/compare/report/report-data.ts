import type {
  CellAbout,
  Comparison,
  LengthFigures,
  MetricAbout,
  PatternPicture,
  StepCost,
  TaskAbout,
  Trial,
} from "../results.ts";
import type { Crossover } from "../statistics/crossovers.ts";
import type { Cost } from "../statistics/pareto.ts";
import type { SpreadComparison } from "../statistics/statistics.ts";
import type { Spread } from "../statistics/summaries.ts";

/**
 * What the page of a report is made from: a comparison, summed up over seeds. It travels in the page as JSON.
 */
export type ReportData = Pick<
  Comparison,
  "title" | "command" | "startedAt" | "finishedAt" | "complete" | "environment" | "seeds" | "variants"
> & {
  /** What each run was given, as text. */
  readonly budget: string;
  /** What `compare --config` takes to repeat it, as indented JSON. */
  readonly settings: string;
  /** The result in plain sentences. */
  readonly sentences: readonly string[];
  readonly tasks: readonly TaskData[];
};

export type TaskData = {
  readonly about: Pick<
    TaskAbout,
    "label" | "name" | "title" | "objective" | "metrics" | "trainLength" | "lengths" | "baselines" | "example"
  >;
  /** By what variants are ranked. */
  readonly metric: MetricAbout;
  /** The largest number of seeds that a ranked variant has. With 1 there is an order, and no ranks. */
  readonly seeds: number;
  /** The best first, as in all tables. */
  readonly variants: readonly VariantData[];
  readonly crossovers: readonly Crossover[];
  /** Of each variant with a figure and the cost, which others beat it there: their places in `variants`. */
  readonly beatenBy: Readonly<Record<ParetoCost, Readonly<Record<string, readonly number[]>>>>;
  readonly trials: readonly Trial[];
  /** Why figures are missing, and what must be known of others. */
  readonly notes: readonly string[];
  readonly runs: readonly RunData[];
  /** Settings that all variants have alike, by dotted names. */
  readonly commonSettings: Readonly<Record<string, string>>;
};

/** What charts set quality against. */
export type ParetoCost = Exclude<Cost, { readonly length: number }>["kind"];

/** A variant on a task. */
export type VariantData = {
  readonly variant: string;
  readonly cell?: Omit<CellAbout, "task" | "variant" | "patterns">;
  readonly patterns: readonly PatternPicture[];
  readonly result?: ResultData;
  /** The same after training on the task's own inputs. */
  readonly pretrained?: ResultData;
  /** How the ranking metric of `pretrained` differs from that of `result`. */
  readonly change?: SpreadComparison;
  readonly steps: readonly StepCost[];
  /** Settings in which variants differ. */
  readonly settings: Readonly<Record<string, string>>;
};

/** Figures over the seeds of a variant. */
export type ResultData = {
  readonly seeds: readonly number[];
  readonly failures: readonly string[];
  readonly rank?: Rank;
  /** Where its mean stands among the variants, from 1. */
  readonly place?: number;
  /** Where the mean of the ranking metric is expected, with 95 % confidence. */
  readonly interval?: readonly [low: number, high: number];
  readonly metrics: Readonly<Record<string, Spread>>;
  /** The ranking metric by length, or why there is none. */
  readonly byLength: readonly ({ readonly length: number } & (
    | { readonly figure: Spread; readonly note?: string }
    | { readonly missing: string }
  ))[];
  readonly trainTokensPerSecond?: Spread;
  readonly evalTokensPerSecond?: Spread;
  readonly peakBytes?: Spread;
  readonly seconds?: Spread;
  readonly trainCurve: CurveBand;
  readonly validCurve: CurveBand;
};

/** The ranks that a variant may have: `from` = `to` where the seeds tell it from all others. */
export type Rank = { readonly from: number; readonly to: number };

/** Losses over the steps at which all seeds have one: their mean, and of validation the lowest and the highest. */
export type CurveBand = {
  readonly steps: readonly number[];
  readonly mean: readonly number[];
  readonly low?: readonly number[];
  readonly high?: readonly number[];
};

export type RunData = {
  readonly variant: string;
  readonly seed: number;
  readonly pretrained: boolean;
} & (
  | {
      readonly metrics: LengthFiguresAtTraining;
      readonly steps: number;
      readonly tokens: number;
      readonly seconds?: number;
      readonly reused: boolean;
    }
  | { readonly failure: string }
);

type LengthFiguresAtTraining = Extract<LengthFigures, { metrics: unknown }>["metrics"];
