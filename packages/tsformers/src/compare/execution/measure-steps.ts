import { dirname, join } from "node:path";
import {
  type Compiled,
  compile,
  type Device,
  flatten,
  type Given,
  isNdArray,
  keyToArray,
  randomKey,
  readTree,
  type Tensor,
  trace,
} from "@tsformers/engine";
import { makeFolder } from "../../io/make-folder.ts";
import type { Symbolic } from "../../objectives/objective.ts";
import { lockFile } from "../../run/lock.ts";
import { type AnyBatch, type PreparedRun, prepareRun } from "../../run/prepare.ts";
import { removeRemains } from "../../run/remains.ts";
import { present } from "../../schema/present.ts";
import { suitableMicroBatches } from "../../train/accumulate.ts";
import { programFlops } from "../../train/flops.ts";
import { median } from "../../train/median.ts";
import { availableBytes, estimateMemory } from "../../train/memory.ts";
import { sgd } from "../../train/optimisers/sgd.ts";
import { type TrainState, trainStep } from "../../train/step.ts";
import type { StepCost } from "../results.ts";
import { bytesText, peakMemory } from "../text/figures.ts";
import type { MeasureOptions } from "./measure-run.ts";
import { type ChildWork, costLock } from "./messages.ts";
import { readStoredCosts, writeStoredCosts } from "./stored.ts";
import { watchLoad } from "./watch-load.ts";

type CostWork = Extract<ChildWork, { kind: "cost" }>;

/** Steps are repeated until this time has gone by. */
const enoughMs = 500;
const mostSteps = 25;
/** A step that takes longer is not repeated. */
const longMs = 5000;

/**
 * Measures a step forward and backward at each length, in a process of its own: time, operations, and the largest resident memory so far.
 * Lengths go up, and rows are as many as make the tokens of a training step, but at least one. What is measured is on the disk after each length.
 * No other process measures in the same folder of runs meanwhile.
 *
 * @returns whether all were measured; `false` when `signal` came first
 */
export async function measureSteps(
  directory: string,
  { job, lengths }: CostWork,
  options: Omit<MeasureOptions, "listen">,
): Promise<boolean> {
  makeFolder(directory);
  const unlock = await lockFile(join(dirname(directory), costLock), {
    waitMs: Number.POSITIVE_INFINITY,
    onWait: () => options.tell({ kind: "note", message: "another process measures steps here; waiting for it" }),
  });
  try {
    removeRemains(directory);
    return await measureMissing(directory, { job, lengths }, options);
  } finally {
    unlock();
  }
}

async function measureMissing(
  directory: string,
  { job, lengths }: Pick<CostWork, "job" | "lengths">,
  { device, signal, text }: Pick<MeasureOptions, "device" | "signal" | "text">,
): Promise<boolean> {
  const isThere = (length: number) => readStoredCosts(directory, job).some((cost) => cost.length === length);
  if (lengths.every(isThere)) return true;
  const run = await prepareRun(job.config, text === undefined ? {} : { text });
  for (const length of [...lengths].sort((a, b) => a - b)) {
    if (signal.aborted) return false;
    if (isThere(length)) continue;
    const before = readStoredCosts(directory, job);
    const steps = [...before, await measureStep(run, length, device)].sort((a, b) => a.length - b.length);
    await writeStoredCosts(directory, job, steps);
  }
  return true;
}

type StepFunction = (
  state: TrainState<unknown>,
  batch: Symbolic<AnyBatch>,
  key: Tensor,
) => { loss: Tensor; gradients: unknown };
type Step = Compiled<Parameters<StepFunction>, ReturnType<StepFunction>>;

/** One step without its update, as a function and with what it takes. */
function stepAt({ config, objective, view }: PreparedRun, length: number, onCpu: boolean) {
  const rows = Math.max(1, Math.floor((config.batchSize * config.length) / length));
  const made = trainStep({
    loss: objective.loss,
    optimiser: sgd({ momentum: 0, weightDecay: 0 }),
    microBatches: onCpu ? suitableMicroBatches(rows, length) : 1,
    ...(objective.startMemories !== undefined && { startMemories: () => objective.startMemories!(rows) }),
  });
  const step: StepFunction = (state, batch, key) => {
    const { loss, gradients } = made.gradients(state, batch, { learningRate: key, key });
    return { loss, gradients };
  };
  const params = objective.init(randomKey(0));
  return {
    rows,
    params,
    step,
    inputs: () =>
      [
        made.init(params) as Given<TrainState<unknown>>,
        view.trainBatch(1, rows, length) as Given<Symbolic<AnyBatch>>,
        keyToArray(randomKey(0)),
      ] as const,
  };
}

/**
 * Traces a step forward and backward, and counts its floating point operations per token. Parts of a model that do not go together say so here.
 *
 * @throws RangeError or CombinationError for parts that do not fit
 */
export function countStep(run: PreparedRun, length: number): { readonly flopsPerToken: number } {
  const { step, inputs, rows } = stepAt(run, length, run.config.device === "cpu");
  const { leaves, structure } = flatten([inputs()], isNdArray);
  const { program } = trace((args: Parameters<StepFunction>) => step(...args), structure, leaves);
  return { flopsPerToken: programFlops(program) / (rows * length) };
}

/** {@link countStep} of training, in the mean over the lengths that its rows have. */
export function countTraining(run: PreparedRun): { readonly flopsPerToken: number } {
  const cycle = run.view.lengths?.cycle ?? [run.config.length];
  const flops = new Map([...new Set(cycle)].map((length) => [length, length * countStep(run, length).flopsPerToken]));
  const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);
  return { flopsPerToken: sum(cycle.map((length) => flops.get(length)!)) / sum(cycle) };
}

const parts = 3;

/** How far apart the medians of parts of a measurement lie, over that of all; undefined of too few. */
export function spreadOf(times: readonly number[]): number | undefined {
  const width = Math.floor(times.length / parts);
  if (width === 0) return undefined;
  const medians = Array.from({ length: parts }, (_, i) => median(times.slice(i * width, (i + 1) * width)));
  return (Math.max(...medians) - Math.min(...medians)) / median(times);
}

export async function measureStep(run: PreparedRun, length: number, device: Device): Promise<StepCost> {
  let step: Step | undefined;
  const othersShare = watchLoad();
  try {
    const made = stepAt(run, length, device.name === "cpu");
    const { rows, params } = made;
    step = compile(made.step, { device }) as Step;
    const inputs = made.inputs();
    const program = step.trace(...inputs);
    const needed = estimateMemory(params, params, program).totalBytes;
    const free = device.name === "cpu" ? availableBytes() : undefined;
    if (free !== undefined && needed > free)
      return { length, missing: `a step needs about ${bytesText(needed)}, and ${bytesText(free)} are free` };
    const compiled = step;
    const once = async (): Promise<number> => {
      const start = performance.now();
      await readTree({ loss: (await compiled(...inputs)).loss });
      return performance.now() - start;
    };
    await step.prepare(...inputs);
    // The first one fills caches; it counts only where another would take long.
    const first = await once();
    const times = first > longMs ? [first] : [];
    for (let spent = 0; first <= longMs && times.length < mostSteps && spent < enoughMs; spent += times.at(-1)!) {
      times.push(await once());
    }
    const tokens = rows * length;
    return {
      length,
      rows,
      tokensPerSecond: (tokens * 1000) / median(times),
      ...present({ spread: spreadOf(times), othersShare: othersShare() }),
      peakBytes: peakMemory(),
      flopsPerToken: programFlops(program) / tokens,
    };
  } catch (error) {
    // A task whose data do not reach, or a mechanism that is made for shorter rows.
    if (error instanceof RangeError) return { length, missing: error.message };
    throw error;
  } finally {
    await step?.release();
  }
}
