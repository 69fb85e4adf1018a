import type { RunConfig } from "../run/config.ts";
import { present } from "../schema/present.ts";

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

/** A loss at one length, or the reason why there is none. */
export type LengthLoss = { readonly length: number } & (
  | {
      readonly loss: number;
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
      /** Peak resident memory of the process up to this length. */
      readonly peakBytes: number;
    }
  | { readonly missing: string }
);

/** One point of a curve. */
export type CurvePoint = { readonly step: number; readonly loss: number };

/** Result of one run. */
export type RunResult = {
  readonly parameters: number;
  /** Metrics of the task at the training length on the test split, by name; the first is the loss. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly byLength: readonly LengthLoss[];
  readonly trainCurve: readonly CurvePoint[];
  readonly validCurve: readonly CurvePoint[];
  readonly trainTokensPerSecond: number;
  readonly evalTokensPerSecond: number;
  /** Peak resident memory of the process up to the end of training, in bytes. */
  readonly peakBytes: number;
  readonly seconds: number;
  /** Measured under the first seed only. */
  readonly steps?: readonly StepCost[];
};

/** One cell of a comparison: a variant under one seed. */
export type CompareRun = {
  readonly id: string;
  /** The label of what is compared, the same for all seeds: "gpt · alibi". */
  readonly variant: string;
  readonly seed: number;
  readonly directory: string;
  readonly config: RunConfig;
  readonly outcome: { readonly result: RunResult; readonly reused: boolean } | { readonly failure: string };
};

/** All results of a comparison: the content of results.json and of the report. */
export type Comparison = {
  readonly format: "tsformers-comparison";
  readonly version: 1;
  readonly title: string;
  readonly command: string;
  readonly finishedAt: string;
  readonly environment: Environment;
  readonly metrics: readonly { readonly name: string; readonly label: string; readonly better: "lower" | "higher" }[];
  /** The shortest of the variants. */
  readonly trainLength: number;
  readonly lengths: readonly number[];
  readonly runs: readonly CompareRun[];
};

/** A mean over seeds, and the sample standard deviation if there are several. */
export type Spread = { readonly mean: number; readonly deviation?: number };

/** One variant over all its seeds. */
export type VariantSummary = {
  readonly variant: string;
  readonly seeds: number;
  readonly failures: readonly string[];
  readonly metrics: Readonly<Record<string, Spread>>;
  readonly byLength: readonly ({ readonly length: number } & (
    | { readonly loss: Spread; readonly note?: string }
    | { readonly missing: string }
  ))[];
  /** What a step costs at each length, where that was measured. */
  readonly steps?: readonly StepCost[];
  readonly trainTokensPerSecond?: Spread;
  readonly evalTokensPerSecond?: Spread;
  readonly peakBytes?: Spread;
  readonly parameters?: number;
};

/** Groups the runs by variant, in the order in which the variants were given. */
export function summarise({ runs, metrics, lengths }: Comparison): VariantSummary[] {
  const variants = [...new Set(runs.map(({ variant }) => variant))];
  return variants.map((variant) => {
    const own = runs.filter((run) => run.variant === variant);
    const results = own.flatMap(({ outcome }) => ("result" in outcome ? [outcome.result] : []));
    const failures = own.flatMap(({ outcome, seed }) =>
      "failure" in outcome ? [`seed ${seed}: ${outcome.failure}`] : [],
    );
    const steps = results.find((result) => result.steps !== undefined)?.steps;
    const over = (value: (result: RunResult) => number) => spread(results.map(value));
    if (results.length === 0) {
      const byLength = lengths.map((length) => ({ length, missing: "failed" }));
      return { variant, seeds: 0, failures, metrics: {}, byLength };
    }
    return {
      variant,
      seeds: results.length,
      failures,
      metrics: Object.fromEntries(metrics.map(({ name }) => [name, over((result) => result.metrics[name]!)])),
      byLength: lengths.map((length) => lossesAt(results, length)),
      trainTokensPerSecond: over((result) => result.trainTokensPerSecond),
      evalTokensPerSecond: over((result) => result.evalTokensPerSecond),
      peakBytes: over((result) => result.peakBytes),
      parameters: results[0]!.parameters,
      ...present({ steps }),
    };
  });
}

function lossesAt(results: readonly RunResult[], length: number): VariantSummary["byLength"][number] {
  const cells = results.map(({ byLength }) => byLength.find((cell) => cell.length === length));
  const measured = cells.flatMap((cell) => (cell !== undefined && "loss" in cell ? [cell] : []));
  const note = measured.find((cell) => cell.note !== undefined)?.note;
  if (measured.length > 0) return { length, loss: spread(measured.map(({ loss }) => loss)), ...present({ note }) };
  const reason = cells.find((cell) => cell !== undefined && "missing" in cell);
  return { length, missing: reason !== undefined && "missing" in reason ? reason.missing : "not measured" };
}

/** Mean and sample standard deviation `√(Σ(x − mean)² / (n − 1))`. */
export function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
