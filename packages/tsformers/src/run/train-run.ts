import type { Device } from "@tsformers/engine";
import { type TrainEvent, type TrainResult, train } from "../train/train.ts";
import type { RunConfig } from "./config.ts";
import { claimRunFolder, lockRun } from "./folder.ts";
import { makeOptimiser } from "./optimisers.ts";
import { type PreparedRun, prepareRun } from "./prepare.ts";
import { makeSchedule } from "./schedules.ts";
import { recordOf } from "./task-record.ts";

export type TrainRunOptions = {
  readonly directory: string;
  readonly device: Device;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
  /** How long to wait for another process that is at work on this run. */
  readonly waitMs?: number;
  /** Starts even when memory seems too small. */
  readonly force?: boolean;
};

/**
 * Trains what a configuration says, in a directory of its own: config.json, checkpoints, metrics. A run that was
 * interrupted goes on; one that is finished is only read.
 *
 * @throws ConfigError when the directory holds a run of another configuration
 */
export async function trainRun(
  config: RunConfig,
  options: TrainRunOptions,
): Promise<{ run: PreparedRun; result: TrainResult<unknown> }> {
  const run = await prepareRun(config);
  await claimRunFolder(options.directory, run.config, recordOf(run.task));
  const unlock = await lockRun(options.directory, { waitMs: options.waitMs ?? 0 });
  try {
    return { run, result: await trainPrepared(run, options) };
  } finally {
    unlock();
  }
}

async function trainPrepared(
  { config, task, view, trainee }: PreparedRun,
  options: TrainRunOptions,
): Promise<TrainResult<unknown>> {
  const { directory, device, signal, onEvent, force } = options;
  return train({
    trainee,
    task: { ...view, fingerprint: task.fingerprint },
    optimiser: await makeOptimiser(config.optimiser),
    schedule: makeSchedule(config.schedule, config),
    steps: config.steps,
    batchSize: config.batchSize,
    length: config.length,
    device,
    seed: config.seed,
    evalEvery: config.evalEvery,
    evalTokens: config.evalTokens,
    directory,
    checkpointEvery: config.checkpointEvery,
    keep: config.keep,
    identity: { model: JSON.parse(JSON.stringify({ ...config.model, position: config.position ?? null })) },
    ...(config.microBatches !== undefined && { microBatches: config.microBatches }),
    ...(config.clip > 0 && { clipNorm: config.clip }),
    ...(config.ema > 0 && { averageDecay: config.ema }),
    ...(config.patience > 0 && { patience: config.patience }),
    ...(signal !== undefined && { signal }),
    ...(onEvent !== undefined && { onEvent }),
    ...(force !== undefined && { force }),
  });
}
