import {
  type Concrete,
  foldIn,
  fromNumbers,
  type Given,
  keyToArray,
  putTree,
  randomKey,
  readTree,
} from "@tsformers/engine";
import type { Symbolic } from "../objectives/objective.ts";
import { present } from "../schema/present.ts";
import { loss as lossMetric } from "../tasks/metric.ts";
import { lengthAt } from "../tasks/train-lengths.ts";
import { suitableMicroBatches } from "./accumulate.ts";
import { earlyStopping } from "./early-stopping.ts";
import { makeTogether, makeUpdate } from "./make-updates.ts";
import { median } from "./median.ts";
import { availableBytes, estimateMemory, memoryText, requireMemory } from "./memory.ts";
import { loggedLosses } from "./named-losses.ts";
import { type Program, type Programs, programs } from "./programs.ts";
import type { RunDirectory } from "./run-directory.ts";
import { type Control, type TrainState, type TrainStep, trainStep } from "./step.ts";
import { stepsPerRun } from "./steps-per-run.ts";
import type { Progress, TrainEvent, TrainOptions, TrainResult } from "./train-options.ts";

export type { TrainEvent, TrainOptions, TrainResult } from "./train-options.ts";

/**
 * Trains, evaluates, and keeps checkpoints. A run that was interrupted, even by `kill -9`, goes on when called again with
 * the same options, and ends with the same bytes of parameters as one that was not (on the same device).
 *
 * @throws NonFiniteError naming step and parameter when the loss or the gradients are not finite
 * @throws Error when the directory holds another run, or the model is too large for the memory
 */
export async function train<Params, B>(options: TrainOptions<Params, B>): Promise<TrainResult<Params>> {
  const { steps, batchSize, length, signal, onEvent = () => {} } = options;
  const counts = present({ steps, batchSize, length, stepsPerRun: options.stepsPerRun });
  for (const [name, value] of Object.entries(counts)) requireCount(name, value);
  requireBatches(options);
  const compiled = programs(options, (objective) => stepOf({ ...options, objective }));
  const run = await begin<Params, B>(options, compiled);
  await options.onBegin?.();
  let { state, step: done, progress } = run;
  let saved = { step: done, progress };
  let prepared: Program<Params, B> | undefined;
  const stepMs: number[] = [];
  const speeds: number[] = [];
  const last = Math.min(steps, options.pauseAt ?? steps);
  const pace = stepsPerRun({
    // With learned spans each step has the program that its parameters ask for.
    fixed: options.objective.spans === undefined ? options.stepsPerRun : 1,
    // On a graphics processor the state stays where it is; a page would stand still for a second.
    mayChoose: options.device.name === "cpu",
    last,
    every: [options.evalEvery, options.checkpointEvery],
  });
  const makeSteps = async (): Promise<void> => {
    const program = await compiled.of(state.params);
    if (program !== prepared) {
      const start = performance.now();
      for (const each of new Set(options.view.lengths?.cycle ?? [length]))
        await program.update.prepare(state, ...inputsOf(options, done + 1, each));
      pace.prepared(performance.now() - start);
      if (prepared === undefined) onEvent({ kind: "prepared", step: done });
      prepared = program;
    }
    const inputs = range(pace.next(done)).map((i) => inputsOf(options, done + 1 + i));
    const ahead = { number: done + 1, program, state };
    const together = inputs.length === 1 ? undefined : await makeTogether(options, { ...ahead, inputs });
    // Where something is wrong with one of several steps, or they cannot be made together, they are made one by one.
    if (inputs.length > 1 && together === undefined) pace.giveUp();
    const made = together ?? (await makeUpdate(options, { ...ahead, inputs: inputs[0]! }));
    if (together === undefined) pace.took(made.ms);
    state = made.state;
    for (const { measured, losses } of made.steps) {
      done += 1;
      stepMs.push(made.ms);
      speeds.push(measured.tokensPerSecond);
      run.directory?.log({ ...measured, ...loggedLosses(losses) });
      const secondsLeft = ((steps - done) * median(stepMs.slice(-20))) / 1000;
      onEvent({ kind: "step", ...measured, losses, totalSteps: steps, secondsLeft });
    }
  };

  const stopping = options.patience === undefined ? undefined : earlyStopping({ patience: options.patience });
  const evaluate = async (): Promise<void> => {
    const { average, params } = state as { average?: Given<Params>; params: Given<Params> };
    const { scores } = await compiled.of(average ?? params);
    const totals = await scores.evaluate(average ?? params, validBatches(options));
    const loss = lossMetric.value(totals);
    const next = stopping?.update(progress.stopping ?? stopping.init, done, loss) ?? null;
    progress = { stopping: next, evaluation: { step: done, totals } };
    const { correct, tokens } = totals;
    run.directory?.log({
      step: done,
      "valid/loss": loss,
      ...(correct !== undefined && { "valid/accuracy": correct / tokens }),
    });
    onEvent({ kind: "evaluation", step: done, totals, loss });
  };

  const save = async (): Promise<void> => {
    if (run.directory === undefined || (saved.step === done && saved.progress === progress)) return;
    const path = await run.directory.save(done, await readTree(state), progress);
    saved = { step: done, progress };
    onEvent({ kind: "checkpoint", step: done, path });
  };

  const isDue = (every: number | undefined): boolean => every !== undefined && done % every === 0;
  const stoppedEarly = (): boolean => progress.stopping?.stop === true;
  // The checkpoint comes first: whatever happens in an evaluation, no step is lost. On resumption one that was cut off is made again.
  const evaluateIfDue = async (): Promise<void> => {
    const due = done === last || (done > 0 && isDue(options.evalEvery));
    if (!due || progress.evaluation?.step === done) return;
    await save();
    await evaluate();
  };
  try {
    await evaluateIfDue();
    while (done < last && !stoppedEarly() && !signal?.aborted) {
      await makeSteps();
      await evaluateIfDue();
      if (isDue(options.checkpointEvery) && saved.step !== done) await save();
    }
    await save();
    const { params, average } = (await readTree(state)) as { params: Concrete<Params>; average?: Concrete<Params> };
    return {
      ended: endOf({ done, steps, last, stoppedEarly: stoppedEarly() }),
      step: done,
      params,
      ...present({ average }),
      ...(progress.evaluation !== null && { evaluation: progress.evaluation }),
      tokensPerSecond: median(speeds),
    };
  } finally {
    run.directory?.close();
    await compiled.release();
  }
}

function endOf(at: {
  readonly done: number;
  readonly steps: number;
  /** Where it was to stop: at the end, or at a pause. */
  readonly last: number;
  readonly stoppedEarly: boolean;
}): TrainResult<unknown>["ended"] {
  if (at.done >= at.steps) return "finished";
  if (at.stoppedEarly) return "stopped early";
  return at.done >= at.last ? "paused" : "interrupted";
}

/**
 * The batch of an update, its learning rate, the key of its dropout and the progress before it; the key of the parameters is `foldIn(key, 0)`.
 *
 * @param length T of its rows. Default: as the view says
 */
export function inputsOf<Params, B>(
  { view, schedule, steps, batchSize, length: usual, seed = 0 }: TrainOptions<Params, B>,
  number: number,
  length: number = lengthAt(view, number, usual),
): [Given<Symbolic<B>>, Given<Control>] {
  const batch = view.trainBatch(number, batchSize, length) as Given<Symbolic<B>>;
  const key = keyToArray(foldIn(foldIn(randomKey(seed), 1), number));
  const [learningRate, progress] = [schedule(number), (number - 1) / steps].map((x) => fromNumbers([x], []));
  return [batch, { learningRate, key, progress } as Given<Control>];
}

/** The training step of a run. */
export function stepOf<Params, B>({ objective, optimiser, ...options }: TrainOptions<Params, B>): TrainStep<Params, B> {
  const { clipNorm, averageDecay, float16, batchSize, length, device } = options;
  const suitable = device.name === "cpu" ? suitableMicroBatches(batchSize, length) : 1;
  return trainStep({
    loss: objective.loss,
    ...(objective.project !== undefined && { project: (params: Params) => objective.project!(params) }),
    ...(objective.startMemories !== undefined && { startMemories: () => objective.startMemories!(batchSize) }),
    optimiser,
    ...present({ clipNorm }),
    microBatches: options.microBatches ?? suitable,
    ...present({ averageDecay, float16 }),
  });
}

/** Of rows with one answer each, an evaluation during training scores at least so many. */
const leastRows = 64;

/** The rows that evaluations during training score: at least one, however few tokens are asked for. */
function validBatches<Params, B>({ view, batchSize, length, evalTokens }: TrainOptions<Params, B>): Iterable<B> {
  const scored = (tokens: number) =>
    view.limitsRows ? Math.max(Math.ceil(tokens / length), leastRows) : Math.max(tokens, length);
  const limit = evalTokens === undefined ? {} : { limit: scored(evalTokens) };
  return view.evalBatches("valid", { batchSize, length, ...limit });
}

/**
 * Asks for what evaluations will need, so that the run fails before the first step and not after hours.
 *
 * @throws RangeError when the task has no such rows; when the batch cannot be worked through in so many parts
 */
function requireBatches<Params, B>(options: TrainOptions<Params, B>): void {
  const { batchSize, microBatches = 1 } = options;
  if (batchSize % microBatches !== 0)
    throw new RangeError(`train: microBatches must divide batchSize ${batchSize}, got ${microBatches}`);
  validBatches(options);
}

/** Where a run stands, new or resumed. */
type Run<Params> = {
  readonly directory?: RunDirectory;
  readonly step: number;
  readonly state: Given<TrainState<Params>>;
  readonly progress: Progress;
};

/**
 * The run that the directory holds, or a new one. No parameter is drawn before the memory for it is known to be there.
 *
 * @throws MemoryError when it takes more than is free on the CPU, unless forced
 */
async function begin<Params, B>(options: TrainOptions<Params, B>, compiled: Programs<Params, B>): Promise<Run<Params>> {
  const { objective, device, steps, onEvent = () => {} } = options;
  const params = options.params ?? objective.init(foldIn(randomKey(options.seed ?? 0), 0));
  const { step, update } = await compiled.of(params as Given<Params>);
  const initial = step.init(params);
  announceMemory(options, update, initial, onEvent);
  const { directory, resumed } = (await openRun<Params, B>(options, initial)) ?? {};
  for (const problem of directory?.problems ?? []) onEvent({ kind: "damaged", problem });
  if (resumed !== undefined && resumed.step > steps)
    throw new RangeError(`train: ${resumed.step} steps are made already, more than the ${steps} that steps asks for`);
  if (resumed) onEvent({ kind: "resumed", step: resumed.step });
  return {
    ...present({ directory }),
    step: resumed?.step ?? 0,
    state: putTree(resumed?.state ?? initial, device) as Given<TrainState<Params>>,
    progress: resumed?.progress ?? { stopping: null, evaluation: null },
  };
}

/** Steps of more take ONNX Runtime so long to prepare that the user should know: 6,000 take about a second, 46,000 about a minute. */
const manyOperations = 10_000;

/** Counts the memory of a run from shapes, then traces its step. @throws MemoryError when that is more than is free on the CPU, unless forced */
function announceMemory<Params, B>(
  options: TrainOptions<Params, B>,
  update: Program<Params, B>["update"],
  state: Concrete<TrainState<Params>>,
  onEvent: (event: TrainEvent) => void,
): void {
  const { device, batchSize, length, force = false } = options;
  const free = device.name === "cpu" && !force ? availableBytes() : undefined;
  const { params } = state as { params: unknown };
  // Before anything of the size of the model or a batch is made. Inputs, targets and weights have four bytes a token each.
  const least = estimateMemory(params, state, undefined, !device.sharesMemory);
  if (free !== undefined) requireMemory({ ...least, totalBytes: least.totalBytes + 12 * batchSize * length }, free);
  const program = update.trace(state as Given<TrainState<Params>>, ...inputsOf(options, 1, length));
  const estimate = estimateMemory(params, state, program, !device.sharesMemory);
  onEvent({ kind: "memory", estimate, text: memoryText(estimate) });
  if (free !== undefined) requireMemory(estimate, free);
  const operations = program.equations.length;
  if (operations > manyOperations)
    onEvent({ kind: "note", text: `preparing a step of ${operations.toLocaleString("en-US")} operations` });
}

type Opened<Params> = {
  readonly directory: RunDirectory;
  readonly resumed?: {
    readonly step: number;
    readonly state: Concrete<TrainState<Params>>;
    readonly progress: Progress;
  };
};

/** Opens the directory, if there is one. What reads and writes files is loaded only then. */
async function openRun<Params, B>(
  options: TrainOptions<Params, B>,
  initial: Concrete<TrainState<Params>>,
): Promise<Opened<Params> | undefined> {
  const { keep } = options;
  if (options.directory === undefined) return undefined;
  const { openRunDirectory, restore } = await import("#files");
  const identity = {
    task: options.task.fingerprint,
    optimiser: options.optimiser.fingerprint,
    seed: options.seed ?? 0,
    batchSize: options.batchSize,
    length: options.length,
    clipNorm: options.clipNorm ?? null,
    averageDecay: options.averageDecay ?? null,
    float16: options.float16 !== undefined,
    configuration: options.identity ?? null,
  };
  const directory = await openRunDirectory(options.directory, identity, keep === undefined ? {} : { keep });
  const { latest } = directory;
  if (latest === undefined) return { directory };
  const { checkpoint, progress } = latest;
  return { directory, resumed: { step: checkpoint.step, state: restore(initial, checkpoint), progress } };
}

function requireCount(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1))
    throw new RangeError(`train: ${name} must be an integer ≥ 1, got ${value}`);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
