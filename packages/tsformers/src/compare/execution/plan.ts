import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ObjectiveName } from "../../objectives/index.ts";
import { parseRunConfig } from "../../run/config.ts";
import { present } from "../../schema/present.ts";
import { fingerprint } from "./fingerprint.ts";
import type { CostJob, FullConfig, TrainJob } from "./messages.ts";

/** Settings that do not change what a step costs are those of any run. */
const usualConfig = parseRunConfig({}, "configuration");

/** A cell with everything that its runs need. */
export type PlannedCell = {
  readonly task: string;
  readonly variant: string;
  readonly config: FullConfig;
  /** Of the data: results on other data are not taken for these. */
  readonly data: string;
  readonly lengths: readonly number[];
  readonly testTokens?: number;
  readonly candidates: readonly { readonly settings: Readonly<Record<string, string>>; readonly config: FullConfig }[];
  /** What it is trained for before, if that is asked for. */
  readonly pretrain?: ObjectiveName;
};

/** A run before it is made. */
export type PlannedRun = {
  readonly id: string;
  readonly task: string;
  readonly variant: string;
  readonly seed: number;
  readonly pretrained: boolean;
  /** Named for what is in it: a run with another configuration has another directory, one of the same the directory that it had before. */
  readonly directory: string;
  readonly job: TrainJob;
  readonly lengths: readonly number[];
  readonly testTokens?: number;
};

/** Settings that change where and how often a run is saved, but not its result. */
function identity(config: FullConfig): Omit<FullConfig, "checkpointEvery" | "keep"> {
  const { checkpointEvery: _, keep: __, ...rest } = config;
  return rest;
}

/** The run of a cell with a configuration. */
export function runOf(
  cell: PlannedCell,
  config: FullConfig,
  options: { readonly folder: string; readonly seconds?: number | undefined; readonly pretrained?: boolean },
): PlannedRun {
  const { task, variant, data, lengths, testTokens } = cell;
  const { folder, seconds, pretrained = false } = options;
  const job: TrainJob = { config, data, ...present({ seconds, pretrain: pretrained ? cell.pretrain : undefined }) };
  const id = `${fileName(`${task}-${variant}`)}${pretrained ? "-pretrained" : ""}-seed${config.seed}`;
  return {
    id,
    task,
    variant,
    seed: config.seed,
    pretrained,
    directory: placeIn(folder, id, fingerprint({ ...job, config: identity(config) })),
    job,
    lengths,
    ...present({ testTokens }),
  };
}

/** Every cell under every seed; seeds last, so that a first result of every variant comes early, and pre-trained runs after all others. */
export function runsOf(
  cells: readonly PlannedCell[],
  options: { readonly folder: string; readonly seeds: number; readonly seconds?: number | undefined },
): PlannedRun[] {
  const { seeds, ...rest } = options;
  return [false, true].flatMap((pretrained) =>
    Array.from({ length: seeds }, (_, i) => i).flatMap((i) =>
      cells
        .filter(({ pretrain }) => !pretrained || pretrain !== undefined)
        .map((cell) => runOf(cell, { ...cell.config, seed: cell.config.seed + i }, { ...rest, pretrained })),
    ),
  );
}

/** Where the cost of a cell's steps is measured: the same for all seeds, rates and numbers of steps. */
export function costOf(
  { task, variant, config, data }: PlannedCell,
  folder: string,
): { directory: string; job: CostJob } {
  const { task: learned, model, objective, length, batchSize, microBatches, device } = config;
  const measured = { task: learned, model, objective, length, batchSize, microBatches, device };
  const job: CostJob = { config: { ...usualConfig, ...present(measured), length }, data };
  return { directory: placeIn(folder, `cost-${fileName(`${task}-${variant}`)}`, fingerprint(job)), job };
}

/** The folder of a job: the one that is there under its hash, for labels depend on what a variant is compared with; otherwise a new one. */
function placeIn(folder: string, name: string, hash: string): string {
  const known = existsSync(folder) ? readdirSync(folder).find((other) => other.endsWith(`-${hash}`)) : undefined;
  return join(folder, known ?? `${name}-${hash}`);
}

/** A label as part of a path on any system. */
export function fileName(label: string): string {
  return label
    .replace(/[^\w.=+-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 80);
}
