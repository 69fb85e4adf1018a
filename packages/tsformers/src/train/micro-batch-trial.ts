import { compile, foldIn, type OnDevice, type Program, putTree, randomKey, readTree } from "@tsformers/engine";
import { suitableMicroBatches } from "./accumulate.ts";
import { availableBytes, estimateMemory } from "./memory.ts";
import type { Update } from "./programs.ts";
import type { StepMetrics } from "./step.ts";
import { inputsOf, stepOf } from "./train.ts";
import type { TrainOptions } from "./train-options.ts";

/** The time that an action takes, in any unit. */
export type Timer = (action: () => Promise<void>) => Promise<number>;

/** Milliseconds on the clock. */
export const wallTime: Timer = async (action) => {
  const start = performance.now();
  await action();
  return performance.now() - start;
};

/** Tokens of the smallest and the largest part that is tried: outside of these no processor was found to be faster. */
const [fewestTokens, mostTokens] = [512, 4096];
/** Training steps below which a trial would cost more than it saves. */
const fewestSteps = 500;
/** Steps of each cut that are timed. */
const timedSteps = 5;
/** Share of the time that another cut must save over the usual one: less may be noise, and would cost memory. */
const leastGain = 0.05;

/**
 * Numbers of parts worth trying: those that divide the batch into parts of 512 to 4,096 tokens, and the one of
 * {@link suitableMicroBatches}, ascending.
 */
export function microBatchCandidates(batchSize: number, length: number): number[] {
  const usual = suitableMicroBatches(batchSize, length);
  return Array.from({ length: batchSize }, (_, i) => i + 1).filter((parts) => {
    const tokens = (batchSize / parts) * length;
    return batchSize % parts === 0 && (parts === usual || (tokens >= fewestTokens && tokens <= mostTokens));
  });
}

/** The number of parts with the least time; the usual one unless another saves 5 %, or if there are no times. */
export function fastestCut(times: ReadonlyMap<number, number>, usual: number): number {
  const limit = (times.get(usual) ?? Number.POSITIVE_INFINITY) * (1 - leastGain);
  const within = [...times].filter(([, time]) => time <= limit).sort(([, a], [, b]) => a - b);
  return within[0]?.[0] ?? usual;
}

/** What a trial found. */
export type MicroBatchTrial = {
  readonly microBatches: number;
  /** Time of a step, by the number of parts. */
  readonly times: ReadonlyMap<number, number>;
};

/**
 * Whether there is anything to try: on a CPU, for a run of 500 steps or more whose batch can be cut in several ways and whose step is one
 * program (no learned spans, no rows of several lengths).
 */
export function worthTrying<Params, B>(options: TrainOptions<Params, B>): boolean {
  const { device, steps, batchSize, length, objective, view } = options;
  if (device.name !== "cpu" || steps < fewestSteps) return false;
  if (objective.spans !== undefined || view.lengths !== undefined) return false;
  return microBatchCandidates(batchSize, length).length > 1;
}

/** The training step as text, which differs whenever its operations or shapes do. */
export function stepProgram<Params, B>(options: TrainOptions<Params, B>): string {
  return String(openTrial(options, suitableMicroBatches(options.batchSize, options.length)).program);
}

/** A step with one cut of the batch, prepared. */
export type CutStep = { run(): Promise<void>; release(): Promise<void> };

/**
 * Times a step of each cut: after one that warms up, five of each in turn, so that a slow spell of the machine falls on all of them. The fastest counts.
 *
 * @param open prepares a step; called for all cuts before anything is timed
 */
export async function timeCuts(
  cuts: readonly number[],
  open: (parts: number) => CutStep,
  timer: Timer = wallTime,
): Promise<Map<number, number>> {
  const steps = new Map<number, CutStep>();
  const times = new Map<number, number>();
  try {
    for (const parts of cuts) {
      const step = open(parts);
      steps.set(parts, step);
      await step.run();
    }
    for (let round = 0; round < timedSteps; round++) {
      for (const [parts, step] of steps) {
        const time = await timer(() => step.run());
        times.set(parts, Math.min(time, times.get(parts) ?? Number.POSITIVE_INFINITY));
      }
    }
  } finally {
    for (const step of steps.values()) await step.release();
  }
  return times;
}

/**
 * Times steps of each cut of the batch on the first batch of a run. Cuts that the free memory hardly holds beside those with more parts are left
 * out. The parameters of the run are not changed.
 */
export async function tryMicroBatches<Params, B>(
  options: TrainOptions<Params, B>,
  timer: Timer = wallTime,
): Promise<MicroBatchTrial> {
  const { batchSize, length, device } = options;
  const usual = suitableMicroBatches(batchSize, length);
  const others = microBatchCandidates(batchSize, length).filter((parts) => parts !== usual);
  const trials = new Map<number, ReturnType<typeof openTrial<Params, B>>>();
  let freeBytes = (availableBytes() ?? Number.POSITIVE_INFINITY) / 2;
  for (const parts of [usual, ...others.reverse()]) {
    const trial = openTrial(options, parts);
    const { totalBytes } = estimateMemory((trial.initial as { params: unknown }).params, trial.initial, trial.program);
    if (totalBytes > freeBytes) continue;
    freeBytes -= totalBytes;
    trials.set(parts, trial);
  }
  const open = (parts: number): CutStep => {
    const { initial, inputs, update } = trials.get(parts)!;
    let state = putTree(initial, device) as Parameters<typeof update>[0];
    return {
      run: async () => {
        const result = await update(state, ...inputs);
        await readTree(result.metrics as OnDevice<StepMetrics>);
        state = result.state as typeof state;
      },
      release: () => update.release(),
    };
  };
  const times = await timeCuts([...trials.keys()], open, timer);
  return { microBatches: fastestCut(times, usual), times: new Map([...times].sort(([a], [b]) => a - b)) };
}

/** The step with one cut of the batch, traced but not prepared. */
function openTrial<Params, B>(options: TrainOptions<Params, B>, microBatches: number) {
  const { objective, device, seed = 0, length } = options;
  const step = stepOf({ ...options, microBatches });
  const update = compile(step.update, { device, donate: [0] }) as unknown as Update<Params, B>;
  const initial = step.init(options.params ?? objective.init(foldIn(randomKey(seed), 0)));
  const inputs = inputsOf(options, 1, length);
  const program: Program = update.trace(initial as Parameters<typeof update>[0], ...inputs);
  return { update, initial, inputs, program };
}
