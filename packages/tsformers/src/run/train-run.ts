import { resolve } from "node:path";
import type { Concrete, Device } from "@tsformers/engine";
import { optimisers } from "../catalogue/optimisers.ts";
import { schedules } from "../catalogue/schedules.ts";
import { FileError } from "../io/file-error.ts";
import { makeFolder, removeEmptyFolders } from "../io/make-folder.ts";
import { present } from "../schema/present.ts";
import type { ReadText } from "../tasks/text/tokenized-text.ts";
import { type TrainEvent, type TrainOptions, type TrainResult, train } from "../train/train.ts";
import { makeChoice } from "./catalogue.ts";
import { parseRunConfig, type RunConfig, type RunConfigInput } from "./config.ts";
import {
  hasCheckpoint,
  modelIdentity,
  type RunFolder,
  readRunFolder,
  requireOwnFolder,
  requireSameSettings,
  runPaths,
  writeRunFolder,
} from "./folder.ts";
import { lockFile } from "./lock.ts";
import { type ChooseMicroBatches, recordedMicroBatches, recordMicroBatches } from "./measured-micro-batches.ts";
import { type OpenedModel, openModel } from "./open-model.ts";
import { type AnyBatch, type PreparedRun, prepareRun } from "./prepare.ts";
import { removeRemains } from "./remains.ts";
import { modelOfRun, requireSameVocabulary, requireTask, settingsOf, startingParams } from "./start-from.ts";
import { recordOf, requireOwnTokens, requireSameData } from "./task-record.ts";

export type TrainRunOptions = {
  readonly directory: string;
  readonly device: Device;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
  /** The model that `from` names, if the caller has opened it already. */
  readonly source?: OpenedModel;
  /** How long to wait for another process that works on this run, in milliseconds. Default: see {@link lockFile}. */
  readonly waitMs?: number;
  /** Called once when that is so. */
  readonly onWait?: () => void;
  /** The text of the task's data, if the caller has read it already. */
  readonly text?: ReadText;
  /** Pauses after this step; see {@link train}. */
  readonly pauseAt?: number;
  /** Start even if memory seems too small. Default: false. */
  readonly force?: boolean;
  /**
   * Asked by a new run whose configuration does not say into how many parts a batch is cut. The answer is kept in the run's folder, since it
   * decides the order of sums: a run that is resumed must take the same. Default: a fixed rule.
   */
  readonly chooseMicroBatches?: ChooseMicroBatches;
};

/**
 * Trains by a configuration, in a folder that holds all that is needed to resume, generate and export:
 * config.json, task.json, checkpoints, metrics. An interrupted run is resumed; a finished one is only read, or
 * continued if more steps are configured. Until there is a checkpoint, the configuration may be replaced.
 *
 * @throws ConfigError when the folder holds a run with another configuration or other data; Error when another process works
 *   on it
 */
export async function trainRun(
  input: RunConfigInput,
  options: TrainRunOptions,
): Promise<{ run: PreparedRun; result: TrainResult<unknown> }> {
  const { directory, waitMs = 0, onWait, onEvent } = options;
  requireOwnFolder(directory);
  const made = makeFolder(directory);
  const unlock = await lockFile(runPaths(directory).lock, { waitMs, ...present({ onWait }) });
  try {
    removeRemains(directory);
    const saved = hasCheckpoint(directory) ? await readSaved(directory) : undefined;
    const source =
      saved === undefined && input.from !== undefined ? (options.source ?? (await openModel(input.from))) : undefined;
    for (const text of source?.notes ?? []) onEvent?.({ kind: "note", text });
    const config = completeSettings(input, saved, source);
    if (saved !== undefined) requireSameSettings(directory, saved.config, { ...filledIn(saved), ...config });
    const tokenizer = (saved ?? source)?.tokenizer;
    const run = await prepareRun(config, {
      ...present({ tokenizer, text: options.text }),
    });
    if (saved !== undefined) requireSameData(directory, saved.task, run.task);
    if (source !== undefined) {
      requireOwnTokens(source.directory, source.tokenizer, run.task);
      requireSameVocabulary(source, run);
    }
    const start = source && startingParams(source, run);
    if (source !== undefined && start!.changes.length > 0)
      onEvent?.({ kind: "note", text: `from ${source.directory}: ${start!.changes.join("; ")}` });
    const onBegin = async () => {
      if (saved !== undefined && saved.config.steps !== config.steps)
        onEvent?.({ kind: "note", text: changeOfSteps(saved.config, config) });
      await writeRunFolder(directory, run.config, recordOf(run.task, run));
    };
    return {
      run,
      result: await trainPrepared(run, {
        ...options,
        ...present({ params: start?.params }),
        onBegin,
        isNew: saved === undefined,
      }),
    };
  } finally {
    unlock();
    // What failed before it began leaves nothing.
    removeEmptyFolders(made);
  }
}

/** @throws FileError saying how to go on where a file is damaged */
async function readSaved(directory: string): Promise<RunFolder> {
  try {
    return await readRunFolder(directory);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new FileError(
      error.path,
      `${error.problem}; put the file back, or remove ${directory} to start again`,
      error.isOfDisk,
    );
  }
}

/** What a run finds out for itself where it is not told. */
function filledIn({ config: { objective }, task: { length } }: RunFolder): Pick<RunConfig, "length" | "objective"> {
  return { length, ...present({ objective }) };
}

/** Settings with defaults filled in; a run that starts from a model takes that model's settings. */
function completeSettings(
  input: RunConfigInput,
  saved: RunFolder | undefined,
  source: OpenedModel | undefined,
): RunConfig {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  if (saved !== undefined) {
    const model = saved.config.from === undefined ? {} : modelOfRun(saved.config);
    return withAbsolutePaths(parseRunConfig({ from: saved.config.from, ...model, ...given }, "configuration"));
  }
  if (source === undefined) return withAbsolutePaths(parseRunConfig(given, "configuration"));
  const settings = { ...settingsOf(source), ...given };
  requireTask(source.directory, settings);
  return withAbsolutePaths(parseRunConfig(settings, "configuration"));
}

/** Describes how a changed number of steps affects the learning rate. */
function changeOfSteps(before: RunConfig, now: RunConfig): string {
  const at = Math.min(before.steps, now.steps);
  const rate = (config: RunConfig) => makeChoice(schedules, config.schedule, config)(at).toPrecision(3);
  return `${now.steps} steps instead of ${before.steps}: the ${now.schedule.kind} schedule now spans all of them; its learning rate at step ${at} was ${rate(before)} and is ${rate(now)}`;
}

/** Makes paths absolute, so that they stay valid from any working directory. */
export function withAbsolutePaths(config: RunConfig): RunConfig {
  const { task, from } = config;
  return {
    ...config,
    task: {
      ...task,
      ...(typeof task.data === "string" && { data: resolve(task.data) }),
      ...(typeof task.tokenizer === "string" && { tokenizer: resolve(task.tokenizer) }),
      ...(typeof task.neighbours === "string" && { neighbours: resolve(task.neighbours) }),
    },
    ...(from !== undefined && { from: resolve(from) }),
  };
}

async function trainPrepared(
  { config, task, view, objective }: PreparedRun,
  options: TrainRunOptions & {
    readonly params?: Concrete<unknown>;
    /** Whether there is no checkpoint to go on from. */
    readonly isNew: boolean;
    onBegin(): Promise<void>;
  },
): Promise<TrainResult<unknown>> {
  const { directory, device, signal, onEvent, force, params, pauseAt, isNew, chooseMicroBatches } = options;
  const settings: TrainOptions<unknown, AnyBatch> = {
    objective,
    task,
    view,
    optimiser: makeChoice(optimisers, config.optimiser),
    schedule: makeChoice(schedules, config.schedule, config),
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
    identity: modelIdentity(config),
    ...(config.clip > 0 && { clipNorm: config.clip }),
    ...(config.ema > 0 && { averageDecay: config.ema }),
    ...(config.patience > 0 && { patience: config.patience }),
    ...present({ signal, onEvent, force, params, pauseAt }),
  };
  const isOpen = config.microBatches === undefined;
  const chosen = isOpen && isNew ? await chooseMicroBatches?.(settings) : undefined;
  const recorded = isOpen && !isNew ? recordedMicroBatches(directory) : undefined;
  const onBegin = async () => {
    await options.onBegin();
    if (isNew) await recordMicroBatches(directory, chosen);
  };
  return train({ ...settings, ...present({ microBatches: config.microBatches ?? recorded ?? chosen }), onBegin });
}
