import type { Figures, LengthFigures } from "../compare/results.ts";
import type { RunConfig } from "../run/config.ts";

/** What was run or measured, and where. What is not known is null, as in tables. */
export type Identity = {
  /** Folder of the comparison, beside the runs: "compare-listops-1f0c9e2b". */
  readonly comparison: string;
  /** Name of the task in the catalogue. */
  readonly task: string;
  /** Label of the task in its comparison: "mad-recall · vocabulary=64". */
  readonly taskLabel: string;
  /** Settings of the task as they were given. */
  readonly taskSettings: Readonly<Record<string, unknown>>;
  readonly objective: string;
  /** Label of the variant in its comparison: "gpt · alibi". */
  readonly variant: string;
  readonly model: string;
  /** Names of the parts; of several layers `local*2,routing*2`. "own" is a part that the model does not leave open. */
  readonly mixer: string;
  readonly pattern: string;
  readonly position: string;
  readonly depth: string;
  readonly layers: number | null;
  readonly modelWidth: number | null;
  readonly heads: number | null;
  /** T of training rows. */
  readonly trainLength: number;
  readonly batchSize: number | null;
  readonly learningRate: number | null;
  readonly parameters: number | null;
  /** Whether outputs depend on earlier inputs only. */
  readonly causal: boolean | null;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly device: string | null;
  /** Version of tsformers. */
  readonly version: string;
  /** ISO 8601, of the run or, where it does not say, of its comparison. */
  readonly finishedAt: string;
  readonly config: RunConfig | null;
};

/** A finished run: one row of the index. */
export type RunRecord = Identity & {
  /** Its folder, in the folder of the store. Equal for equal configurations and data. */
  readonly folder: string;
  readonly seed: number;
  /** Whether it was first trained on the task's own inputs. */
  readonly pretrained: boolean;
  readonly steps: number;
  readonly tokens: number;
  /** Of the past of one row, at the training length, in all layers. Null: it cannot write token by token, or it was not measured. */
  readonly stateBytes: number | null;
  /** Of a training step, at the training length. */
  readonly flopsPerToken: number | null;
  /** Nats, on the test split at the training length. Null: not a number. */
  readonly loss: number | null;
  /** Name of the metric that ranks, and its value. */
  readonly metric: string;
  /** As people read it: "bits per character". */
  readonly metricLabel: string;
  readonly score: number | null;
  readonly better: "lower" | "higher";
  /** The best value of an answer that does not look at the row. Null: there is none. */
  readonly baseline: number | null;
  /** Rows of the test split that were scored. Null: not known. */
  readonly scoredRows: number | null;
  /** Null: not known, as memory and time below. */
  readonly trainTokensPerSecond: number | null;
  readonly evalTokensPerSecond: number;
  readonly peakBytes: number | null;
  /** Of training. */
  readonly seconds: number | null;
  readonly metrics: Figures;
  readonly byLength: readonly LengthFigures[];
};

/** What a step forward and backward costs a variant at one length. */
export type CostRecord = Identity & {
  readonly length: number;
  readonly rows: number | null;
  readonly tokensPerSecond: number | null;
  readonly peakBytes: number | null;
  readonly flopsPerToken: number | null;
  /** Of the past of one row at this length. */
  readonly stateBytes: number | null;
  /** Why there is no measurement. Null: there is one. */
  readonly missing: string | null;
};

export type ColumnType = "text" | "integer" | "real" | "boolean" | "json";

/** Columns of records, in their order in tables and exports. */
export type Columns<R> = { readonly [Name in keyof R & string]: ColumnType };

const identity: Columns<Identity> = {
  comparison: "text",
  task: "text",
  taskLabel: "text",
  taskSettings: "json",
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
  trainLength: "integer",
  batchSize: "integer",
  learningRate: "real",
  parameters: "integer",
  causal: "boolean",
  cpu: "text",
  cores: "integer",
  memoryBytes: "integer",
  device: "text",
  version: "text",
  finishedAt: "text",
  config: "json",
};

export const runColumns: Columns<RunRecord> = {
  folder: "text",
  ...identity,
  seed: "integer",
  pretrained: "boolean",
  steps: "integer",
  tokens: "integer",
  stateBytes: "real",
  flopsPerToken: "real",
  loss: "real",
  metric: "text",
  metricLabel: "text",
  score: "real",
  better: "text",
  baseline: "real",
  scoredRows: "integer",
  trainTokensPerSecond: "real",
  evalTokensPerSecond: "real",
  peakBytes: "real",
  seconds: "real",
  metrics: "json",
  byLength: "json",
};

export const costColumns: Columns<CostRecord> = {
  ...identity,
  length: "integer",
  rows: "integer",
  tokensPerSecond: "real",
  peakBytes: "real",
  flopsPerToken: "real",
  stateBytes: "real",
  missing: "text",
};
