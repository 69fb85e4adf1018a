import { type Columns, type CostRecord, costColumns, type Identity, type RunRecord } from "../../store/record.ts";
import { costsOf, failuresOf, recordsOf } from "../../store/records-of.ts";
import type { Comparison, LengthFigures } from "../results.ts";

/** What a run scores by one metric at one length, or why it does not: a line of the tidy table of runs. */
export type TidyRun = Omit<Identity, "taskSettings" | "config" | "memoryBytes"> &
  Pick<RunRecord, "folder" | "seed" | "pretrained"> & {
    readonly steps: number | null;
    readonly tokens: number | null;
    readonly trainTokensPerSecond: number | null;
    readonly evalTokensPerSecond: number | null;
    readonly peakBytes: number | null;
    readonly seconds: number | null;
    /** Of the evaluation. Null: the run failed. */
    readonly length: number | null;
    readonly metric: string | null;
    readonly better: "lower" | "higher" | null;
    readonly value: number | null;
    /** Why there is no value. */
    readonly missing: string | null;
    /** What its reader should know. */
    readonly note: string | null;
  };

export const tidyRunColumns: Columns<TidyRun> = {
  comparison: "text",
  folder: "text",
  task: "text",
  taskLabel: "text",
  objective: "text",
  variant: "text",
  model: "text",
  mixer: "text",
  pattern: "text",
  position: "text",
  depth: "text",
  layers: "integer",
  modelWidth: "integer",
  heads: "integer",
  parameters: "integer",
  causal: "boolean",
  trainLength: "integer",
  batchSize: "integer",
  learningRate: "real",
  steps: "integer",
  tokens: "integer",
  seed: "integer",
  pretrained: "boolean",
  length: "integer",
  metric: "text",
  better: "text",
  value: "real",
  missing: "text",
  note: "text",
  trainTokensPerSecond: "real",
  evalTokensPerSecond: "real",
  peakBytes: "integer",
  seconds: "real",
  device: "text",
  cpu: "text",
  cores: "integer",
  version: "text",
  finishedAt: "text",
};

/** All runs of a comparison, a line for each length and metric; a line for one that failed or was not evaluated at a length. */
export function tidyRuns(comparison: Comparison, name: string): TidyRun[] {
  const finished = recordsOf(comparison, name).flatMap((run) => {
    const { metrics } = comparison.tasks.find(({ label }) => label === run.taskLabel)!;
    return lengthsOf(run).flatMap((cell): TidyRun[] => {
      const line = { ...run, length: cell.length, note: null, missing: null };
      if ("missing" in cell) return [{ ...line, metric: null, better: null, value: null, missing: cell.missing }];
      return Object.entries(cell.metrics).map(([metric, value]) => {
        const better = metrics.find((one) => one.name === metric)?.better ?? null;
        return { ...line, metric, better, value, note: cell.note ?? null };
      });
    });
  });
  const failed = failuresOf(comparison, name).map(({ failure, ...run }): TidyRun => {
    const none = { steps: null, tokens: null, trainTokensPerSecond: null, evalTokensPerSecond: null };
    const unknown = { peakBytes: null, seconds: null, length: null, metric: null, better: null, value: null };
    return { ...run, ...none, ...unknown, missing: `failed: ${failure}`, note: null };
  });
  return [...finished, ...failed];
}

/** With the training length first, if results by length do not have it. */
function lengthsOf({ byLength, trainLength, metrics }: RunRecord): readonly LengthFigures[] {
  const isThere = byLength.some(({ length }) => length === trainLength);
  return isThere ? byLength : [{ length: trainLength, metrics }, ...byLength];
}

const { taskSettings: _, config: __, ...plainCosts } = costColumns;

export type TidyCost = Omit<CostRecord, "taskSettings" | "config">;
export const tidyCostColumns: Columns<TidyCost> = plainCosts;

/** What steps cost in a comparison, a line for each task, variant and length. */
export function tidyCosts(comparison: Comparison, name: string): TidyCost[] {
  return costsOf(comparison, name);
}
