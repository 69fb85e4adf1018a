import {
  type Compiled,
  type Concrete,
  compile,
  type Device,
  foldIn,
  fromNumbers,
  type Given,
  keyToArray,
  type NDArray,
  type OnDevice,
  putTree,
  randomKey,
  readTree,
} from "@tsformers/engine";
import { requireCounts } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import type { CheckpointProblem, JsonValue } from "../../train/checkpoint.ts";
import { median } from "../../train/median.ts";
import { loggedLosses, numbersOf } from "../../train/named-losses.ts";
import { explainNonFinite } from "../../train/non-finite.ts";
import type { Optimiser } from "../../train/optimisers/optimiser.ts";
import type { RunDirectory } from "../../train/run-directory.ts";
import type { Schedule } from "../../train/schedules/schedule.ts";
import { type Control, type StepMetrics, type TrainState, type TrainStep, trainStep } from "../../train/step.ts";
import type { Environment } from "../environment.ts";
import { actor } from "./act.ts";
import type { ActorCritic } from "./actor-critic.ts";
import { environmentRows, type SavedRows } from "./environment-rows.ts";
import { type PpoOptions, ppoLoss, type RollOut, usualDiscount } from "./ppo.ts";
import { rollOut } from "./roll-out.ts";

export type OnLineOptions<Params> = {
  readonly model: ActorCritic<Params>;
  /** Makes one environment; called for each row. All are alike. */
  readonly environment: () => Environment;
  /** B: environments that are stepped together. */
  readonly rows: number;
  /** T: steps of a roll-out, in each environment. */
  readonly length: number;
  readonly rollOuts: number;
  /** How often the policy is updated with each roll-out. Default: 4. */
  readonly epochs?: number;
  readonly ppo?: PpoOptions;
  readonly optimiser: Optimiser;
  /** Learning rate by the number of the roll-out. */
  readonly schedule: Schedule;
  /** The largest global norm of the gradients. Default: 0.5. */
  readonly clipNorm?: number;
  readonly device: Device;
  /** Seed of parameters, environments and actions. Default: 0. */
  readonly seed?: number;

  /** Directory of checkpoints and metrics; a run in it is resumed. Default: nothing is written. */
  readonly directory?: string;
  /** Roll-outs between checkpoints. Default: one checkpoint at the end, which is written in any case. */
  readonly checkpointEvery?: number;
  /** Further identity of this run, such as the model's configuration; a run with another identity is not resumed. */
  readonly identity?: JsonValue;
  readonly onEvent?: (event: OnLineEvent) => void;
  /** When it aborts, the current roll-out is finished and a checkpoint written. */
  readonly signal?: AbortSignal;
};

export type OnLineEvent =
  | { readonly kind: "resumed"; readonly rollOut: number }
  | { readonly kind: "damaged"; readonly problem: CheckpointProblem }
  | ({ readonly kind: "roll-out" } & Progress)
  | { readonly kind: "checkpoint"; readonly rollOut: number; readonly path: string };

/** What a roll-out and its updates brought. */
type Progress = {
  readonly rollOut: number;
  readonly rollOuts: number;
  /** Steps in all environments so far. */
  readonly steps: number;
  /** Episodes that ended in the roll-out, and the mean of their sums of rewards; NaN where none did. */
  readonly episodes: number;
  readonly meanReturn: number;
  readonly loss: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly gradientNorm: number;
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
};

export type OnLineResult<Params> = {
  readonly ended: "finished" | "interrupted";
  /** Roll-outs made, including earlier calls. */
  readonly rollOut: number;
  readonly params: Concrete<Params>;
};

/** Everything that goes from one roll-out to the next. */
type RunState<Params> = {
  readonly train: Concrete<TrainState<Params>>;
  readonly memories: Concrete<readonly unknown[]>;
  readonly environments: SavedRows;
};

/**
 * Learns by acting: roll-outs in B environments in lockstep, after each of which the policy is updated a few times by PPO. Memories go from
 * roll-out to roll-out and begin anew with each episode.
 *
 * An update (advantages, loss, gradients, optimiser) is one graph. A run that was interrupted, even by `kill -9`, goes on when called
 * again with the same options, and ends with the same bytes of parameters as one that was not: a checkpoint holds parameters, optimiser,
 * memories, and the seeds and actions that tell where the environments stand.
 *
 * @throws NonFiniteError when loss or gradients are not finite; Error when the directory holds another run; RangeError when model and
 *   environment do not fit
 */
export async function trainOnLine<Params>(options: OnLineOptions<Params>): Promise<OnLineResult<Params>> {
  const { model, device, rows: count, length, rollOuts, epochs = 4, ppo = {}, onEvent = () => {} } = options;
  requireCounts("trainOnLine", { rows: count, length, rollOuts, epochs });
  requireFit(model, options.environment());
  const key = (use: number, number = 0) => foldIn(foldIn(randomKey(options.seed ?? 0), use), number);
  const step = trainStep<Params, Concrete<RollOut>>({
    loss: ppoLoss(model, ppo),
    optimiser: options.optimiser,
    clipNorm: options.clipNorm ?? 0.5,
    ...present({ project: model.project }),
  });
  const rows = environmentRows(options.environment, count, key(1));
  const initial: RunState<Params> = {
    train: step.init(model.init(key(0))),
    memories: model.startMemories(count) as Concrete<readonly unknown[]>,
    environments: rows.save(),
  };
  const opened = await openRun(options, initial);
  const { directory, resumed } = opened ?? {};
  for (const problem of directory?.problems ?? []) onEvent({ kind: "damaged", problem });
  if (resumed !== undefined) {
    if (resumed.rollOut > rollOuts)
      throw new RangeError(
        `trainOnLine: ${resumed.rollOut} roll-outs are made already, more than the ${rollOuts} asked for`,
      );
    rows.restore(resumed.state.environments);
    onEvent({ kind: "resumed", rollOut: resumed.rollOut });
  }
  const start = resumed?.state ?? initial;
  let state = putTree(start.train, device) as Given<TrainState<Params>>;
  let memories = putTree(start.memories, device) as Given<readonly unknown[]>;
  let done = resumed?.rollOut ?? 0;
  let saved = done;
  const update = compile(step.update, { device, donate: [0] }) as unknown as Update<Params>;
  const acting = actor(model, device);
  const times: number[] = [];

  const save = async (): Promise<void> => {
    if (directory === undefined || saved === done) return;
    const whole = { train: await readTree(state), memories: await readTree(memories), environments: rows.save() };
    const path = await directory.save(done, whole, { stopping: null, evaluation: null });
    saved = done;
    onEvent({ kind: "checkpoint", rollOut: done, path });
  };

  try {
    while (done < rollOuts && !options.signal?.aborted) {
      const began = performance.now();
      const number = done + 1;
      const rolled = await rollOut({
        ...{ model, actor: acting, rows, memories, length },
        params: (state as { params: Given<Params> }).params,
        discount: ppo.discount ?? usualDiscount,
        key: key(2, number),
      });
      const batch = { ...putTree(rolled.batch, device), memories } as Given<RollOut>;
      memories = rolled.memories;
      let metrics: Concrete<StepMetrics> | undefined;
      for (let epoch = 0; epoch < epochs; epoch++) {
        const control = {
          learningRate: fromNumbers([options.schedule(number)], []),
          key: keyToArray(foldIn(key(3, number), epoch)),
        } as Given<Control>;
        const made = await makeUpdate({ number, step, update, device, state, batch, control });
        ({ metrics } = made);
        state = made.state;
      }
      done = number;
      times.push(performance.now() - began);
      const progress = progressOf(metrics!, rolled.returns, { done, rollOuts, count, length, times });
      directory?.log(recordOf(progress));
      onEvent({ kind: "roll-out", ...progress });
      if (options.checkpointEvery !== undefined && done % options.checkpointEvery === 0) await save();
    }
    await save();
    const { params } = (await readTree(state)) as unknown as { params: Concrete<Params> };
    return { ended: done >= rollOuts ? "finished" : "interrupted", rollOut: done, params };
  } finally {
    directory?.close();
    await Promise.all([update.release(), acting.release()]);
  }
}

type Update<Params> = Compiled<
  [TrainState<Params>, RollOut, Control],
  { state: TrainState<Params>; metrics: StepMetrics }
>;

async function makeUpdate<Params>(given: {
  readonly number: number;
  readonly step: TrainStep<Params, Concrete<RollOut>>;
  readonly update: Update<Params>;
  readonly device: Device;
  readonly state: Given<TrainState<Params>>;
  readonly batch: Given<RollOut>;
  readonly control: Given<Control>;
}) {
  const { number, step, update, device, state, batch, control } = given;
  const out = await update(state, batch, control);
  const metrics = (await readTree(out.metrics as OnDevice<StepMetrics>)) as Concrete<StepMetrics>;
  if (![metrics.loss, metrics.gradientNorm].every((x) => Number.isFinite(x.item())))
    throw await explainNonFinite(number, step, device, state, batch as never, control);
  return { state: out.state as Given<TrainState<Params>>, metrics };
}

function progressOf(
  metrics: Concrete<StepMetrics>,
  returns: readonly number[],
  at: { done: number; rollOuts: number; count: number; length: number; times: readonly number[] },
): Progress {
  const { done, rollOuts, count, length, times } = at;
  const usualMs = median(times.slice(-20));
  return {
    rollOut: done,
    rollOuts,
    steps: done * count * length,
    episodes: returns.length,
    meanReturn: returns.reduce((a, b) => a + b, 0) / returns.length,
    loss: metrics.loss.item(),
    losses: numbersOf(metrics.losses as Readonly<Record<string, NDArray>>),
    gradientNorm: metrics.gradientNorm.item(),
    stepsPerSecond: (count * length * 1000) / times.at(-1)!,
    secondsLeft: ((rollOuts - done) * usualMs) / 1000,
  };
}

function recordOf({ rollOut: step, rollOuts: _, losses, secondsLeft: __, ...rest }: Progress) {
  return { step, ...rest, ...loggedLosses(losses) };
}

/** Opens the directory, if there is one. What reads and writes files is loaded only then. */
async function openRun<Params>(
  options: OnLineOptions<Params>,
  initial: RunState<Params>,
): Promise<
  | { directory: RunDirectory; resumed?: { readonly rollOut: number; readonly state: RunState<Params> } | undefined }
  | undefined
> {
  if (options.directory === undefined) return undefined;
  const { openRunDirectory, restore } = await import("#files");
  const identity = {
    environment: options.environment().name,
    optimiser: options.optimiser.fingerprint,
    seed: options.seed ?? 0,
    rows: options.rows,
    length: options.length,
    epochs: options.epochs ?? 4,
    ppo: { ...options.ppo },
    clipNorm: options.clipNorm ?? 0.5,
    configuration: options.identity ?? null,
  };
  const directory = await openRunDirectory(options.directory, identity);
  if (directory.latest === undefined) return { directory };
  const { checkpoint } = directory.latest;
  return { directory, resumed: { rollOut: checkpoint.step, state: restore(initial, checkpoint) } };
}

function requireFit(model: ActorCritic, { name, features, actions }: Environment): void {
  const choices = actions.kind === "discrete" ? actions.count : undefined;
  if (model.features === features && model.choices === choices) return;
  throw new RangeError(
    `trainOnLine: ${name} has ${features} features and ${choices ?? "continuous"} actions, the model was made for ${model.features} and ${model.choices}`,
  );
}
