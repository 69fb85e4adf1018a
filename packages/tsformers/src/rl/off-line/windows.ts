import { integers, NDArray } from "@tsformers/engine";
import { crc32c } from "../../io/crc32c.ts";
import { loss, type Metric, tokenAccuracy } from "../../tasks/metric.ts";
import { generatedRows, type RowForm, rowsView } from "../../tasks/rows.ts";
import type { Task, TaskViews, WindowsBatch } from "../../tasks/task.ts";
import { type Episode, returnOf, returnsToGo, statisticsOf, type Trajectories, widthOf } from "./episode.ts";

/** Steps `start` to `end`, excluded, of an episode, and what was to come from each step of the episode on. */
export type Window = {
  readonly episode: Episode;
  /** [steps of the episode] */
  readonly returns: Float32Array;
  readonly start: number;
  readonly end: number;
};

export type TrajectoriesOptions = {
  /** What the environment is called. */
  readonly name: string;
  readonly trajectories: Trajectories;
  /** K, the most steps of a window. Default: 20. */
  readonly length?: number;
  /** Returns are 0 throughout, so that a model imitates what it sees whatever came of it: behaviour cloning. Default: they are told. */
  readonly hideReturns?: boolean;
  /** Returns are divided by it. Default: the largest of an episode, in absolute value, so that they lie within ±1. */
  readonly returnScale?: number;
  /** Draws the windows of training. Default: 0. */
  readonly seed?: number;
};

/** How many windows an evaluation scores. */
const usualRows = 256;

const squaredError: Metric = { ...loss, label: "squared error per step" };

/**
 * Off-line reinforcement learning: do what was done in episodes, knowing what came of it. A row is a window of an episode; it begins at a step drawn from all
 * steps, so that long episodes come as often as they are long. Evaluation draws others from the same episodes: what a policy is worth is told by its
 * roll-outs alone, see `decide`.
 *
 * @throws RangeError when there is no episode, or one has no steps
 * @source Chen et al. 2021, "Decision Transformer", §3, arXiv:2106.01345
 */
export function trajectoriesTask(options: TrajectoriesOptions): Task<Required<Pick<TaskViews, "windows">>> {
  const { name, trajectories, length = 20, hideReturns = false, seed = 0 } = options;
  const { features, actions, longest, episodes } = trajectories;
  if (episodes.length === 0) throw new RangeError(`${name}: expected at least one episode, got none`);
  const empty = episodes.findIndex(({ rewards }) => rewards.length === 0);
  if (empty >= 0)
    throw new RangeError(`${name}: expected at least one step in each episode, episode ${empty} has none`);
  const { returnScale = Math.max(...episodes.map((episode) => Math.abs(returnOf(episode)))) || 1 } = options;
  const returns = episodes.map(({ rewards }) => (hideReturns ? rewards.map(() => 0) : returnsToGo(rewards)));
  const places = episodes.flatMap(({ rewards }, of) => Array.from(rewards, (_, start) => ({ of, start })));
  const source = generatedRows<Window>(
    (key, steps) => {
      const { of, start } = places[integers(key, [], { high: places.length }).item()]!;
      const episode = episodes[of]!;
      return { episode, returns: returns[of]!, start, end: Math.min(start + steps, episode.rewards.length) };
    },
    { seed },
  );
  const view = rowsView({
    name: "trajectories",
    length,
    source,
    form: windowForm(trajectories),
    limit: { rows: usualRows },
  });
  const decisions = { features, actions, longest, states: statisticsOf(trajectories), returnScale };
  return {
    name: "trajectories",
    // States and actions are no tokens; a model has one all the same.
    vocabularySize: 1,
    length,
    metrics: actions.kind === "discrete" ? [{ ...loss, label: "loss (nats per step)" }, tokenAccuracy] : [squaredError],
    fingerprint: `trajectories ${name} ${sumOf(trajectories)} scale=${returnScale}${hideReturns ? " without returns" : ""} seed=${seed}`,
    views: { windows: { ...view, decisions } },
  };
}

/** How windows become a batch. */
export function windowForm({
  features,
  actions,
}: Pick<Trajectories, "features" | "actions">): RowForm<Window, WindowsBatch> {
  const width = widthOf(actions);
  return {
    isOneAnswer: true,
    scored: () => 1,
    cut: (row) => row,
    pack: (rows, batchSize, length) => {
      const returnsOf = new Float32Array(batchSize * length);
      const states = new Float32Array(batchSize * length * features);
      const chosen = new Float32Array(batchSize * length * width);
      const timesteps = new Int32Array(batchSize * length);
      const mask = new Float32Array(batchSize * length);
      rows.forEach(({ episode, returns, start, end }, b) => {
        const at = (b + 1) * length - (end - start);
        returnsOf.set(returns.subarray(start, end), at);
        states.set(episode.observations.subarray(start * features, end * features), at * features);
        chosen.set(episode.actions.subarray(start * width, end * width), at * width);
        for (let t = start; t < end; t++) timesteps[at + t - start] = t;
        mask.fill(1, at, (b + 1) * length);
      });
      const isDiscrete = actions.kind === "discrete";
      return {
        returns: new NDArray([batchSize, length], "float32", returnsOf),
        states: new NDArray([batchSize, length, features], "float32", states),
        actions: isDiscrete
          ? new NDArray([batchSize, length], "int32", Int32Array.from(chosen))
          : new NDArray([batchSize, length, width], "float32", chosen),
        timesteps: new NDArray([batchSize, length], "int32", timesteps),
        mask: new NDArray([batchSize, length], "float32", mask),
      };
    },
  };
}

/** Says which episodes they are: how many, how many steps, and a sum of all they hold. */
function sumOf({ features, actions, episodes }: Trajectories): string {
  const lengths = episodes.map(({ rewards }) => rewards.length);
  let sum = crc32c(new TextEncoder().encode(JSON.stringify([features, actions, lengths])));
  for (const { observations, actions: done, rewards } of episodes)
    for (const { buffer, byteOffset, byteLength } of [observations, done, rewards])
      sum = crc32c(new Uint8Array(buffer, byteOffset, byteLength), sum);
  const steps = lengths.reduce((total, count) => total + count, 0);
  return `episodes=${episodes.length} steps=${steps} crc32c=${sum.toString(16)}`;
}
