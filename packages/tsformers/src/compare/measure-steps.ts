import { join } from "node:path";
import {
  type Compiled,
  compile,
  type Device,
  type Given,
  keyToArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { writeFileAtomic } from "../io/atomic-file.ts";
import type { Symbolic } from "../objectives/objective.ts";
import { type AnyBatch, type PreparedRun, prepareRun } from "../run/prepare.ts";
import { packageVersion } from "../run/version.ts";
import type { ReadText } from "../tasks/text/tokenized-text.ts";
import { suitableMicroBatches } from "../train/accumulate.ts";
import { availableBytes, estimateMemory } from "../train/memory.ts";
import { sgd } from "../train/optimisers/sgd.ts";
import { type TrainState, trainStep } from "../train/step.ts";
import { bytesText, median, peakMemory } from "./figures.ts";
import { stepsFile } from "./messages.ts";
import type { RunJob } from "./plan.ts";
import type { StepCost } from "./results.ts";

/** Measured steps on the disk, and the job that they were measured for. */
export type StoredSteps = { readonly version: string; readonly job: RunJob; readonly steps: readonly StepCost[] };

/** Steps are repeated until this time has gone by. */
const enoughMs = 500;
const mostSteps = 25;
/** A step that takes longer is not repeated. */
const longMs = 5000;

/**
 * Measures a step forward and backward at each length, in a process of its own: time, and the largest resident memory so far. Lengths go
 * up, and rows are as many as make the tokens of a training step, but at least one. What is measured is on the disk after each length.
 *
 * @returns whether all were measured; `false` when `signal` came first
 */
export async function measureSteps(
  directory: string,
  job: RunJob,
  { signal, text }: { readonly signal: AbortSignal; readonly text?: ReadText },
): Promise<boolean> {
  const run = await prepareRun(job.config, text === undefined ? {} : { text });
  const device = await openDevice(job.config.device, { worker: true });
  const steps: StepCost[] = [];
  try {
    for (const length of [...job.lengths].sort((a, b) => a - b)) {
      if (signal.aborted) return false;
      steps.push(await measureStep(run, length, device));
      const stored: StoredSteps = { version: packageVersion, job, steps };
      await writeFileAtomic(join(directory, stepsFile), `${JSON.stringify(stored, null, 1)}\n`);
    }
    return true;
  } finally {
    await device.close();
  }
}

type Step = Compiled<
  [state: TrainState<unknown>, batch: Symbolic<AnyBatch>, key: Tensor],
  { loss: Tensor; gradients: unknown }
>;

async function measureStep(
  { config, objective, view }: PreparedRun,
  length: number,
  device: Device,
): Promise<StepCost> {
  const rows = Math.max(1, Math.floor((config.batchSize * config.length) / length));
  const made = trainStep({
    loss: objective.loss,
    optimiser: sgd({ momentum: 0, weightDecay: 0 }),
    microBatches: device.name === "cpu" ? suitableMicroBatches(rows, length) : 1,
    ...(objective.startMemories !== undefined && { startMemories: () => objective.startMemories!(rows) }),
  });
  const step: Step = compile(
    (state: TrainState<unknown>, batch: Symbolic<AnyBatch>, key: Tensor) => {
      const { loss, gradients } = made.gradients(state, batch, { learningRate: key, key });
      return { loss, gradients };
    },
    { device },
  );
  try {
    const params = objective.init(randomKey(0));
    const state = made.init(params) as Given<TrainState<unknown>>;
    const batch = view.trainBatch(1, rows, length) as Given<Symbolic<AnyBatch>>;
    const key = keyToArray(randomKey(0));
    const needed = estimateMemory(params, params, step.trace(state, batch, key)).totalBytes;
    const free = device.name === "cpu" ? availableBytes() : undefined;
    if (free !== undefined && needed > free)
      return { length, missing: `a step needs about ${bytesText(needed)}, and ${bytesText(free)} are free` };
    const once = async (): Promise<number> => {
      const start = performance.now();
      await readTree({ loss: (await step(state, batch, key)).loss });
      return performance.now() - start;
    };
    await step.prepare(state, batch, key);
    // The first one fills caches; it counts only where another would take long.
    const first = await once();
    const times = first > longMs ? [first] : [];
    for (let spent = 0; first <= longMs && times.length < mostSteps && spent < enoughMs; spent += times.at(-1)!) {
      times.push(await once());
    }
    const timeMs = median(times);
    return { length, rows, tokensPerSecond: (rows * length * 1000) / timeMs, peakBytes: peakMemory() };
  } catch (error) {
    // A task whose data do not reach, or a mechanism that is made for shorter rows.
    if (error instanceof RangeError) return { length, missing: error.message };
    throw error;
  } finally {
    await step.release();
  }
}
