import type { Picture } from "../attention/patterns/draw.ts";
import type { RunConfig } from "../run/config.ts";
import type { TaskExample } from "../tasks/example.ts";
import type { Baseline } from "./baselines.ts";

/** The machine and the versions that produced the results. */
export type Environment = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly tsformers: string;
  readonly onnxruntime: string;
};

/** Values of metrics by name. */
export type Figures = Readonly<Record<string, number>>;

/** How much was scored for figures; a row counts if at least one of its tokens is scored. */
export type Scored = { readonly tokens: number; readonly rows: number };

/** Metrics at one length, or the reason why there are none. */
export type LengthFigures = { readonly length: number } & (
  | {
      readonly metrics: Figures;
      /** Absent of evaluations that were made before this was kept. */
      readonly scored?: Scored;
      /** What its reader should know, such as that rows are longer than the model has positions. */
      readonly note?: string;
    }
  | { readonly missing: string }
);

/** What one step forward and backward costs at a length, or why that is not known. */
export type StepCost = { readonly length: number } & (
  | {
      readonly rows: number;
      readonly tokensPerSecond: number;
      /** How far the times of a step in three parts of the measurement lie apart, over the time. Absent: too few steps to tell. */
      readonly spread?: number;
      /** Share of the machine's processors that other processes used meanwhile, 0 to 1. Absent: not known. */
      readonly othersShare?: number;
      /** Peak resident memory of the process up to this length. */
      readonly peakBytes: number;
      /** Floating point operations per token, counted in the step's program. */
      readonly flopsPerToken: number;
    }
  | { readonly missing: string }
);

export type CurvePoint = { readonly step: number; readonly loss: number };

/** Result of one run. */
export type RunResult = {
  readonly parameters: number;
  readonly steps: number;
  readonly tokens: number;
  /** At the training length on the test split, by name. */
  readonly metrics: Figures;
  /** How much of the test split they are of. */
  readonly scored?: Scored;
  readonly byLength: readonly LengthFigures[];
  readonly trainCurve: readonly CurvePoint[];
  readonly validCurve: readonly CurvePoint[];
  /** Absent where the record of its steps was lost. */
  readonly trainTokensPerSecond?: number;
  readonly evalTokensPerSecond: number;
  /** Peak resident memory of the process up to the end of training, in bytes. Absent where that was lost. */
  readonly peakBytes?: number;
  /** Of training. Absent where the record of its steps was lost. */
  readonly seconds?: number;
  /** When it ended, ISO 8601. */
  readonly finishedAt?: string;
};

/** One run of a comparison: a variant on a task under one seed. */
export type CompareRun = {
  readonly id: string;
  /** Label of the task, see {@link TaskAbout}. */
  readonly task: string;
  /** Label of what is compared, the same for all tasks and seeds: "gpt · alibi". */
  readonly variant: string;
  readonly seed: number;
  /** Whether it was first trained on the task's own inputs. */
  readonly pretrained: boolean;
  readonly directory: string;
  readonly config: RunConfig;
  readonly outcome: { readonly result: RunResult; readonly reused: boolean } | { readonly failure: string };
};

export type MetricAbout = { readonly name: string; readonly label: string; readonly better: "lower" | "higher" };

/** A task of a comparison. */
export type TaskAbout = {
  /** Tells tasks of the comparison apart: "listops", "mad-recall · vocabulary=64". */
  readonly label: string;
  /** Its name in the catalogue. */
  readonly name: string;
  readonly title: string;
  readonly objective: string;
  /** The first is the loss in nats. */
  readonly metrics: readonly MetricAbout[];
  /** Name of the metric by which variants are ranked. */
  readonly ranking: string;
  readonly trainLength: number;
  /** Lengths at which losses are measured. */
  readonly lengths: readonly number[];
  /** What answers score that do not look at the row. */
  readonly baselines: readonly Baseline[];
  readonly example: TaskExample;
};

/** A pattern of attention as a grid of cells, queries downwards and keys to the right: see `pictureOf` of the patterns. */
export type PatternPicture = Picture & {
  readonly title: string;
  /** Positions along each side. */
  readonly length: number;
};

/** What a variant is on a task before it is trained: a row of the parity table. */
export type CellAbout = {
  readonly task: string;
  readonly variant: string;
  readonly parameters: number;
  readonly layers: number;
  readonly modelWidth: number;
  /** Whether outputs depend on earlier inputs only. */
  readonly causal: boolean;
  /** Floating point operations per token of a training step, at the training length. */
  readonly flopsPerToken: number;
  /** What one row keeps of the past in all layers when it writes token by token, at lengths. Absent: it cannot. */
  readonly stateBytes?: readonly { readonly length: number; readonly bytes: number }[];
  /** What its attention sees, drawn small: a picture for each of its different patterns. Absent: it has none. */
  readonly patterns?: readonly PatternPicture[];
  /** In what it is not equal to the others, a phrase each: "1.32 × the parameters of most". Empty: equal. */
  readonly unequal: readonly string[];
  /** Settings that only it has, or has otherwise, by their flags' names. */
  readonly settings: Readonly<Record<string, string>>;
  /** Its configuration under the first seed, for readers of results that have no runs. */
  readonly config?: RunConfig;
};

/** Measured costs of a variant on a task, under one seed. */
export type CellCosts = { readonly task: string; readonly variant: string; readonly steps: readonly StepCost[] };

/** A try of a search. */
export type Trial = {
  readonly task: string;
  readonly variant: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Loss on the validation split after so many steps. */
  readonly rungs: readonly CurvePoint[];
  readonly chosen: boolean;
  readonly failure?: string;
};

/** What all variants may spend. */
export type Budget = { readonly kind: "steps" | "tokens" | "seconds" | "flops"; readonly amount: number };

/** All results of a comparison: the content of results.json and of the report. */
export type Comparison = {
  readonly format: "tsformers-comparison";
  readonly version: 2;
  readonly title: string;
  readonly command: string;
  /** What `compare --config` takes to repeat it. */
  readonly settings: unknown;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Whether all runs were tried. */
  readonly complete: boolean;
  readonly environment: Environment;
  readonly budget: Budget;
  readonly seeds: number;
  readonly tasks: readonly TaskAbout[];
  /** Labels in their order. */
  readonly variants: readonly string[];
  readonly cells: readonly CellAbout[];
  readonly runs: readonly CompareRun[];
  readonly costs: readonly CellCosts[];
  readonly trials: readonly Trial[];
};
