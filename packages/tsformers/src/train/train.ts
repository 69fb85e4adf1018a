import {
  type Compiled,
  type Concrete,
  compile,
  type Device,
  flatten,
  foldIn,
  fromNumbers,
  type Given,
  keyToArray,
  type OnDevice,
  randomKey,
  readTree,
  trace,
} from "@tsformers/engine";
import { type EvalTotals, loss as lossMetric } from "../tasks/metric.ts";
import type { TaskView } from "../tasks/task.ts";
import type { CheckpointProblem, JsonValue } from "./checkpoint.ts";
import { type EarlyStoppingState, earlyStopping } from "./early-stopping.ts";
import { evaluator } from "./evaluate.ts";
import type { LossScale } from "./loss-scale.ts";
import { availableBytes, estimateMemory, type MemoryEstimate, megabytes, memoryText } from "./memory.ts";
import { explainNonFinite } from "./non-finite.ts";
import { isNdArray, type Optimiser } from "./optimiser.ts";
import type { RunDirectory } from "./run-directory.ts";
import type { Schedule } from "./schedule.ts";
import { type Control, type StepMetrics, type TrainState, trainStep } from "./step.ts";
import type { Symbolic, Trainee } from "./trainee.ts";

export type TrainOptions<Params, B> = {
  readonly trainee: Trainee<Params, B>;
  /** Its batches are pure functions of the step, so a resumed run needs no state of it. */
  readonly task: TaskView<B> & { readonly fingerprint: string };
  readonly optimiser: Optimiser;
  readonly schedule: Schedule;
  readonly steps: number;
  readonly batchSize: number;
  /** T of training rows. */
  readonly length: number;
  readonly device: Device;
  /** Draws parameters and dropout, default 0. */
  readonly seed?: number;
  /** Parameters to start from; the trainee's own unless given. */
  readonly params?: Concrete<Params>;

  readonly clipNorm?: number;
  readonly microBatches?: number;
  readonly averageDecay?: number;
  readonly float16?: LossScale;

  /** Steps between evaluations on the valid split; there is one at the end in any case. */
  readonly evalEvery?: number;
  readonly evalTokens?: number;
  /** Evaluations in a row without improvement after which the run ends; it never does so unless given. */
  readonly patience?: number;

  /** Where checkpoints and metrics go. A run that is there goes on. Nothing is written unless given. */
  readonly directory?: string;
  /** Steps between checkpoints; there is one at the end in any case. */
  readonly checkpointEvery?: number;
  readonly keep?: number;
  /** What else makes this run itself, such as the model's configuration; a run of another is not resumed. */
  readonly identity?: JsonValue;

  readonly onEvent?: (event: TrainEvent) => void;
  /** When it aborts, the step in progress is finished and a checkpoint written. */
  readonly signal?: AbortSignal;
  /** Starts even when the estimate of memory exceeds what is available. */
  readonly force?: boolean;
};

export type TrainEvent =
  | { readonly kind: "memory"; readonly estimate: MemoryEstimate; readonly text: string }
  | { readonly kind: "resumed"; readonly step: number }
  | { readonly kind: "damaged"; readonly problem: CheckpointProblem }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
      readonly gradientNorm: number;
      readonly learningRate: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: "evaluation"; readonly step: number; readonly totals: EvalTotals; readonly loss: number }
  | { readonly kind: "checkpoint"; readonly step: number; readonly path: string };

export type TrainResult<Params> = {
  readonly ended: "finished" | "stopped early" | "interrupted";
  /** Updates made, also before this call. */
  readonly step: number;
  readonly params: Concrete<Params>;
  /** Moving average of the parameters; evaluations use it. */
  readonly average?: Concrete<Params>;
  /** Of the last evaluation. */
  readonly evaluation?: { readonly step: number; readonly totals: EvalTotals };
  /** Rows times length over the median time of a step; NaN when no step was made. */
  readonly tokensPerSecond: number;
};

/** What a checkpoint holds beside arrays. */
type Progress = {
  readonly stopping: EarlyStoppingState | null;
  readonly evaluation: { readonly step: number; readonly totals: EvalTotals } | null;
};

/**
 * Trains, evaluates, and keeps checkpoints. A run that was interrupted, even by `kill -9`, goes on when called again with
 * the same options, and ends with the same bytes of parameters as one that was not (on the same device).
 *
 * @throws NonFiniteError naming step and parameter when the loss or the gradients are not finite
 * @throws Error when the directory holds another run, or the model is too large for the memory
 */
export async function train<Params, B>(options: TrainOptions<Params, B>): Promise<TrainResult<Params>> {
  const { trainee, task, device, steps, batchSize, length, directory, seed = 0, microBatches = 1 } = options;
  for (const [name, value] of Object.entries({ steps, batchSize, length })) requireCount(name, value);
  const emit = options.onEvent ?? (() => {});
  const parameterKey = foldIn(randomKey(seed), 0);
  const dropoutKey = foldIn(randomKey(seed), 1);
  const { clipNorm, averageDecay, float16, optimiser } = options;
  const step = trainStep({
    loss: trainee.loss,
    optimiser,
    microBatches,
    ...(clipNorm !== undefined && { clipNorm }),
    ...(averageDecay !== undefined && { averageDecay }),
    ...(float16 !== undefined && { float16 }),
  });
  const initial = step.init(options.params ?? trainee.init(parameterKey));

  const estimate = estimateRun(initial, trainee, task, { batchSize: batchSize / microBatches, length });
  emit({ kind: "memory", estimate, text: memoryText(estimate) });
  const free = device.name === "cpu" ? availableBytes() : undefined;
  if (free !== undefined && estimate.totalBytes > free && !options.force) {
    throw new Error(
      `train: this takes ${memoryText(estimate)}, but ${megabytes(free)} are free; make batches or model smaller, use more micro-batches, or force it`,
    );
  }

  const run = directory === undefined ? undefined : await openRun(directory, options, seed);
  for (const problem of run?.directory.problems ?? []) emit({ kind: "damaged", problem });
  const stopping = options.patience === undefined ? undefined : earlyStopping({ patience: options.patience });
  let state: Given<TrainState<Params>> = (run?.restore(initial) ?? initial) as Given<TrainState<Params>>;
  let done = run?.directory.latest?.step ?? 0;
  let progress: Progress = run?.progress ?? { stopping: stopping?.init ?? null, evaluation: null };
  if (done > 0) emit({ kind: "resumed", step: done });

  const update = compile(step.update, { device, donate: [0] }) as unknown as Compiled<
    [TrainState<Params>, Symbolic<B>, Control],
    { state: TrainState<Params>; metrics: StepMetrics }
  >;
  const scores = evaluator(trainee, device);
  const stepMs: number[] = [];
  let saved = done;

  const controlOf = (number: number): Given<Control> => ({
    learningRate: fromNumbers([options.schedule(number)], []),
    key: keyToArray(foldIn(dropoutKey, number)),
  });
  const makeStep = async (number: number): Promise<void> => {
    const batch = task.trainBatch(number, batchSize, length) as Given<Symbolic<B>>;
    const control = controlOf(number);
    if (stepMs.length === 0) await update.prepare(state, batch, control);
    const start = performance.now();
    const result = await update(state, batch, control);
    const metrics = await readTree(result.metrics as OnDevice<StepMetrics>);
    stepMs.push(performance.now() - start);
    const [loss, gradientNorm] = [metrics.loss.item(), metrics.gradientNorm.item()];
    const skipped = float16 !== undefined && Number.isFinite(loss);
    if (!(Number.isFinite(loss) && Number.isFinite(gradientNorm)) && !skipped) {
      throw await explainNonFinite(number, step, device, state, batch, control);
    }
    state = result.state as Given<TrainState<Params>>;
    const learningRate = (control.learningRate as ReturnType<typeof fromNumbers>).item();
    const tokensPerSecond = (batchSize * length * 1000) / stepMs.at(-1)!;
    run?.directory.log({ step: number, loss, gradientNorm, learningRate, tokensPerSecond });
    const secondsLeft = ((steps - number) * median(stepMs.slice(-20))) / 1000;
    emit({
      kind: "step",
      step: number,
      totalSteps: steps,
      loss,
      gradientNorm,
      learningRate,
      tokensPerSecond,
      secondsLeft,
    });
  };
  const evaluate = async (number: number): Promise<void> => {
    const { average, params } = state as { average?: Given<Params>; params: Given<Params> };
    const limit = options.evalTokens === undefined ? {} : { limit: options.evalTokens };
    const totals = await scores.evaluate(average ?? params, task.evalBatches("valid", { batchSize, length, ...limit }));
    const loss = lossMetric.value(totals);
    const next = stopping === undefined ? null : stopping.update(progress.stopping ?? stopping.init, number, loss);
    progress = { stopping: next, evaluation: { step: number, totals } };
    run?.directory.log({ step: number, "valid/loss": loss, "valid/accuracy": totals.correct / totals.tokens });
    emit({ kind: "evaluation", step: number, totals, loss });
  };
  const checkpoint = async (number: number): Promise<void> => {
    if (run === undefined || saved === number) return;
    const path = await run.directory.save(number, await readState(state), progress);
    saved = number;
    emit({ kind: "checkpoint", step: number, path });
  };

  const { signal, evalEvery, checkpointEvery } = options;
  const stoppedEarly = () => progress.stopping?.stop === true;
  try {
    while (done < steps && !stoppedEarly() && !signal?.aborted) {
      await makeStep(++done);
      if (isDue(done, evalEvery) || done === steps) await evaluate(done);
      if (isDue(done, checkpointEvery)) await checkpoint(done);
    }
    if (done === steps && progress.evaluation?.step !== steps) await evaluate(done);
    await checkpoint(done);
    const { params, average } = await readState(state);
    return {
      ended: done >= steps ? "finished" : stoppedEarly() ? "stopped early" : "interrupted",
      step: done,
      params,
      ...(average !== undefined && { average }),
      ...(progress.evaluation !== null && { evaluation: progress.evaluation }),
      tokensPerSecond: (batchSize * length * 1000) / median(stepMs),
    };
  } finally {
    run?.directory.close();
    await update.release();
    await scores.release();
  }
}

type Run<State> = {
  readonly directory: RunDirectory;
  readonly progress: Progress | undefined;
  /** The state of the checkpoint, or `undefined` when there is none. */
  restore(like: State): State | undefined;
};

/** Loaded when it is needed only: it reads and writes files, which a browser cannot. */
async function openRun<Params, B, State>(
  directory: string,
  options: TrainOptions<Params, B>,
  seed: number,
): Promise<Run<State>> {
  const { openRunDirectory, progressIn, restore } = await import("./run-directory.ts");
  const identity = {
    task: options.task.fingerprint,
    optimiser: options.optimiser.fingerprint,
    seed,
    batchSize: options.batchSize,
    length: options.length,
    clipNorm: options.clipNorm ?? null,
    averageDecay: options.averageDecay ?? null,
    float16: options.float16 !== undefined,
    configuration: options.identity ?? null,
  };
  const opened = await openRunDirectory(directory, identity, options.keep === undefined ? {} : { keep: options.keep });
  const { latest } = opened;
  return {
    directory: opened,
    progress: latest === undefined ? undefined : (progressIn(latest) as unknown as Progress),
    restore: (like) => (latest === undefined ? undefined : restore(like, latest)),
  };
}

function estimateRun<Params, B>(
  state: Concrete<TrainState<Params>>,
  trainee: Trainee<Params, B>,
  task: TaskView<B>,
  { batchSize, length }: { batchSize: number; length: number },
): MemoryEstimate {
  const { params } = state as { params: unknown };
  const batch = task.trainBatch(1, Math.max(1, Math.floor(batchSize)), length);
  const { leaves, structure } = flatten([params, batch], isNdArray);
  const forward = (inner: Params, rows: Symbolic<B>) => trainee.loss(inner, rows, {});
  return estimateMemory(params, state, trace(forward, structure, leaves).program);
}

async function readState<Params>(
  state: Given<TrainState<Params>>,
): Promise<{ params: Concrete<Params>; average?: Concrete<Params> }> {
  return (await readTree(state)) as { params: Concrete<Params>; average?: Concrete<Params> };
}

function isDue(step: number, every: number | undefined): boolean {
  return every !== undefined && step % every === 0;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function requireCount(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1))
    throw new RangeError(`train: ${name} must be an integer ≥ 1, got ${value}`);
}
