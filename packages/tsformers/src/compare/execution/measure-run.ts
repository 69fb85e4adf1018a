import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "@tsformers/engine";
import * as z from "zod";
import { optimisers } from "../../catalogue/optimisers.ts";
import { schedules } from "../../catalogue/schedules.ts";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { makeFolder } from "../../io/make-folder.ts";
import { readJsonFile } from "../../io/read-json.ts";
import { makeChoice } from "../../run/catalogue.ts";
import { countParameters } from "../../run/count-parameters.ts";
import { evaluateAtLengths } from "../../run/evaluate-run.ts";
import { hasCheckpoint, readRunFolder, runPaths, writeRunFolder } from "../../run/folder.ts";
import { lockFile } from "../../run/lock.ts";
import { type PreparedRun, prepareRun } from "../../run/prepare.ts";
import { recordOf } from "../../run/task-record.ts";
import { trainRun } from "../../run/train-run.ts";
import { present } from "../../schema/present.ts";
import { loss } from "../../tasks/metric.ts";
import type { ReadText } from "../../tasks/text/tokenized-text.ts";
import { lengthAt, meanLength } from "../../tasks/train-lengths.ts";
import { median } from "../../train/median.ts";
import { readMetrics } from "../../train/metrics.ts";
import { train } from "../../train/train.ts";
import type { TrainEvent, TrainResult } from "../../train/train-options.ts";
import { figuresOf } from "../baselines.ts";
import type { CurvePoint } from "../results.ts";
import { peakMemory } from "../text/figures.ts";
import { type ChildMessage, type ChildWork, type FullConfig, runLock, type TrainJob } from "./messages.ts";
import { type Evaluated, readStoredRun, resultAt, type StoredRun, writeStoredRun } from "./stored.ts";

type TrainWork = Extract<ChildWork, { kind: "train" }>;

export type MeasureOptions = {
  readonly device: Device;
  readonly signal: AbortSignal;
  /** The text of the task's data, if it was read already. */
  readonly text?: ReadText;
  /** Called when updates begin: from then on there is progress to save on a signal. */
  listen(): void;
  tell(message: ChildMessage): void;
};

const curvePoints = 120;
/** Messages of steps come no more often than this. */
const tellEveryMs = 100;

/**
 * Makes one run of a comparison in its own process: trains (or resumes), evaluates at every length that is missing, and puts the results on the
 * disk.
 *
 * @returns whether it was finished; `false` if `signal` aborted first
 */
export async function measureRun(directory: string, work: TrainWork, options: MeasureOptions): Promise<boolean> {
  makeFolder(directory);
  // Another comparison may be at work on the same run: its result is taken as soon as it is there.
  const unlock = await lockFile(join(directory, runLock), {
    waitMs: Number.POSITIVE_INFINITY,
    onWait: () => options.tell({ kind: "note", message: "another process is at work on this run; waiting for it" }),
  });
  try {
    return isMade(readStoredRun(directory, work.job), work) || (await makeRun(directory, work, options));
  } finally {
    unlock();
  }
}

/** Whether all that is asked for is there. */
function isMade(stored: StoredRun, { job, pauseAt, lengths, testTokens }: TrainWork): boolean {
  if (pauseAt !== undefined) return stored.rungs.some(({ step }) => step === pauseAt);
  return resultAt(stored, job, { lengths, ...present({ testTokens }) }) !== undefined;
}

async function makeRun(directory: string, work: TrainWork, options: MeasureOptions): Promise<boolean> {
  const { job, pauseAt } = work;
  const { device, signal } = options;
  try {
    const config = await pretrained(directory, { ...job, config: await affordable(directory, job, options) }, options);
    if (config === undefined) return false;
    const { run, result, madeSteps } = await trained(config, directory, { ...options, ...present({ pauseAt }) });
    if (result.ended === "interrupted") return false;
    const stored = readStoredRun(directory, job);
    await writeStoredRun(directory, job, {
      ...stored,
      ...(pauseAt !== undefined && { rungs: withRung(stored.rungs, result.evaluation!) }),
      ...(result.ended !== "paused" && { result: stored.result ?? resultOf(run, { ...result, madeSteps }, directory) }),
    });
    if (pauseAt !== undefined) return true;
    return await evaluateMissing(directory, work, { run, params: result.average ?? result.params, device, signal });
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** The losses where a run was paused, with that of its last evaluation. */
function withRung(
  rungs: StoredRun["rungs"],
  { step, totals }: NonNullable<TrainResult<unknown>["evaluation"]>,
): StoredRun["rungs"] {
  return [...rungs.filter((rung) => rung.step !== step), { step, loss: loss.value(totals) }];
}

/** Trains, or goes on, and tells how far it is; with whether a step was left to make. */
async function trained(
  config: FullConfig,
  directory: string,
  options: MeasureOptions & { readonly pauseAt?: number },
): Promise<{ run: PreparedRun; result: TrainResult<unknown>; madeSteps: boolean }> {
  const { device, signal, text, pauseAt } = options;
  await mendFolder(directory, config, present({ text }));
  const tell = teller(options);
  let madeSteps = false;
  const trained = await trainRun(config, {
    directory,
    device,
    signal,
    ...present({ text, pauseAt }),
    onEvent: (event) => {
      madeSteps ||= event.kind === "step";
      // A finished run is only evaluated.
      if (event.kind !== "resumed" || event.step < config.steps) tell(event);
    },
  });
  return { ...trained, madeSteps };
}

/** Writes settings and task anew where there are checkpoints and these files are damaged: the run is named by them. */
async function mendFolder(directory: string, config: FullConfig, given: { readonly text?: ReadText }): Promise<void> {
  if (!hasCheckpoint(directory)) return;
  try {
    await readRunFolder(directory);
  } catch {
    const run = await prepareRun(config, given);
    await writeRunFolder(directory, run.config, recordOf(run.task, run));
  }
}

function teller({ listen, tell }: MeasureOptions): (event: TrainEvent) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (event.kind === "prepared") listen();
    else if (event.kind === "resumed") tell({ kind: "note", message: `going on after step ${event.step}` });
    else if (event.kind === "damaged")
      tell({ kind: "note", message: `a damaged checkpoint was skipped: ${event.problem.message}` });
    else if (event.kind === "step") {
      const { step, totalSteps, loss, tokensPerSecond, secondsLeft } = event;
      if (step < totalSteps && performance.now() - last < tellEveryMs) return;
      last = performance.now();
      tell({ kind: "step", step, totalSteps, loss, tokensPerSecond, secondsLeft });
    }
  };
}

const budgetFile = "budget.json";

/** The configuration with as many steps as the time allows, measured once: a run that goes on has the steps that it began with. */
async function affordable(
  directory: string,
  { config, seconds }: TrainJob,
  options: MeasureOptions,
): Promise<FullConfig> {
  if (seconds === undefined) return config;
  const path = join(directory, budgetFile);
  if (!existsSync(path)) {
    const stepSeconds = await measurePace(await prepareRun(config, present({ text: options.text })), options.device);
    const steps = Math.max(1, Math.floor(seconds / stepSeconds));
    makeFolder(directory);
    await writeFileAtomic(path, `${JSON.stringify({ steps, stepSeconds })}\n`);
  }
  const { steps } = readJsonFile(path, z.object({ steps: z.int().positive() }));
  return withSteps(config, steps);
}

/** Updates are made for this time, or one of them, to see how long one takes. */
const paceMs = 2000;

/** Seconds of an update, with making its batch; of a training that is thrown away. */
async function measurePace({ config, task, objective, view }: PreparedRun, device: Device): Promise<number> {
  const controller = new AbortController();
  // The first update fills caches.
  let [first, last, made] = [0, 0, -1];
  await train({
    ...{ objective, task, view, device, batchSize: config.batchSize, length: config.length, seed: config.seed },
    optimiser: makeChoice(optimisers, config.optimiser),
    schedule: makeChoice(schedules, config.schedule, config),
    steps: 1_000_000,
    clipNorm: config.clip > 0 ? config.clip : Number.POSITIVE_INFINITY,
    ...present({ microBatches: config.microBatches }),
    signal: controller.signal,
    onEvent: ({ kind }) => {
      if (kind !== "step") return;
      made++;
      last = performance.now();
      if (made === 0) first = last;
      else if (last - first > paceMs) controller.abort();
    },
  });
  return (last - first) / 1000 / made;
}

/** Evaluations as often over the run as before. */
export function withSteps(config: FullConfig, steps: number): FullConfig {
  const evalEvery = Math.max(1, Math.round((config.evalEvery * steps) / config.steps));
  return { ...config, steps, evalEvery };
}

/** Trains on the task's own inputs first, if that is asked for. @returns undefined when interrupted */
async function pretrained(
  directory: string,
  { config, pretrain }: TrainJob,
  options: MeasureOptions,
): Promise<FullConfig | undefined> {
  if (pretrain === undefined) return config;
  // Beside the run's folder, which must be new when the run begins.
  const folder = `${directory}-own-inputs`;
  const { result } = await trained({ ...config, objective: { kind: pretrain } }, folder, options);
  return result.ended === "interrupted" ? undefined : { ...config, from: folder };
}

function resultOf(
  { config: { batchSize, length }, view }: PreparedRun,
  { step, params, average, madeSteps }: TrainResult<unknown> & { readonly madeSteps: boolean },
  directory: string,
): NonNullable<StoredRun["result"]> {
  const records = readMetrics(runPaths(directory).metrics);
  const points = (name: string): CurvePoint[] =>
    records.flatMap((record) => (typeof record[name] === "number" ? [{ step: record.step, loss: record[name] }] : []));
  const speeds = records.flatMap(({ step, tokensPerSecond }) =>
    typeof tokensPerSecond === "number" ? [{ tokens: batchSize * lengthAt(view, step, length), tokensPerSecond }] : [],
  );
  return {
    parameters: countParameters(average ?? params),
    steps: step,
    tokens: Math.round(step * batchSize * meanLength(view, length)),
    trainCurve: smoothed(points("loss"), curvePoints),
    validCurve: points("valid/loss"),
    ...(speeds.length > 0 && {
      trainTokensPerSecond: median(speeds.map(({ tokensPerSecond }) => tokensPerSecond)),
      seconds: speeds.reduce((sum, { tokens, tokensPerSecond }) => sum + tokens / tokensPerSecond, 0),
    }),
    evalTokensPerSecond: 0,
    // A process that only evaluates says nothing of the memory of training.
    ...(madeSteps && { peakBytes: peakMemory() }),
    finishedAt: new Date().toISOString(),
  };
}

async function evaluateMissing(
  directory: string,
  { job, lengths, testTokens }: TrainWork,
  { run, params, device, signal }: { run: PreparedRun; params: unknown; device: Device; signal: AbortSignal },
): Promise<boolean> {
  const { batchSize, length } = run.config;
  let stored = readStoredRun(directory, job);
  const isThere = (at: number) =>
    stored.evaluated.some((one) => one.length === at && one.testTokens === (testTokens ?? null));
  for (const at of new Set([length, ...lengths])) {
    if (isThere(at)) continue;
    const [cell] = await evaluateAtLengths(run, params as never, device, {
      split: "test",
      lengths: [at],
      batchTokens: batchSize * length,
      signal,
      ...present({ limit: testTokens }),
    });
    const evaluated: Evaluated =
      "missing" in cell!
        ? { ...cell, testTokens: testTokens ?? null }
        : {
            length: at,
            metrics: figuresOf(run.task.metrics, cell!.totals),
            scored: { tokens: cell!.totals.tokens, rows: cell!.totals.rows },
            testTokens: testTokens ?? null,
            ...present({ note: cell!.note }),
          };
    const speed = "missing" in cell! || at !== length ? {} : { evalTokensPerSecond: cell!.tokensPerSecond };
    stored = {
      ...stored,
      result: { ...stored.result!, ...speed },
      evaluated: [...stored.evaluated, evaluated],
    };
    await writeStoredRun(directory, job, stored);
  }
  if (resultAt(stored, job, { lengths, ...present({ testTokens }) }) !== undefined) return true;
  const own = stored.evaluated.find((one) => one.length === length)!;
  throw new Error("missing" in own ? own.missing : "the evaluation is not complete");
}

/** Averages points over equal stretches, to at most `count` of them. */
function smoothed(points: readonly CurvePoint[], count: number): CurvePoint[] {
  const width = Math.ceil(points.length / count);
  return Array.from({ length: Math.ceil(points.length / Math.max(width, 1)) }, (_, i) => {
    const part = points.slice(i * width, (i + 1) * width);
    return { step: part.at(-1)!.step, loss: part.reduce((sum, { loss }) => sum + loss, 0) / part.length };
  });
}
