import type { ActionSpace, Environment } from "../environment.ts";

/** What was seen, done and received in one episode of T steps. */
export type Episode = {
  /** [T, F] */
  readonly observations: Float32Array;
  /** Choices [T], or real actions [T, A]. */
  readonly actions: Float32Array;
  /** [T] */
  readonly rewards: Float32Array;
};

/** What an environment shows and takes, and the most steps of an episode. */
export type EnvironmentShape = Pick<Environment, "features" | "actions" | "longest">;

/** Episodes of one environment. */
export type Trajectories = EnvironmentShape & { readonly episodes: readonly Episode[] };

/** A, the numbers of an action as it is kept in an episode. */
export function widthOf(actions: ActionSpace): number {
  return actions.kind === "discrete" ? 1 : actions.width;
}

/** An environment in words. */
export function shapeText({ features, actions, longest }: EnvironmentShape): string {
  const taken =
    actions.kind === "discrete"
      ? `${actions.count} choices`
      : `${actions.width} real actions from ${actions.low} to ${actions.high}`;
  return `${features} features, ${taken} and at most ${longest} steps`;
}

/** The sum of the rewards of an episode. */
export function returnOf({ rewards }: Episode): number {
  return rewards.reduce((sum, reward) => sum + reward, 0);
}

/** R̂[t] = Σ_{t' ≥ t} r[t'], without discount, [T]. */
export function returnsToGo(rewards: Float32Array): Float32Array {
  const returns = new Float32Array(rewards.length);
  let sum = 0;
  for (let t = rewards.length - 1; t >= 0; t--) {
    sum += rewards[t]!;
    returns[t] = sum;
  }
  return returns;
}

/**
 * Episodes of several sources as one.
 *
 * @throws RangeError when they are not of one environment
 */
export function joinedTrajectories(...sources: readonly [Trajectories, ...Trajectories[]]): Trajectories {
  const [first] = sources;
  const other = sources.find((source) => shapeText(source) !== shapeText(first));
  if (other !== undefined)
    throw new RangeError(`joinedTrajectories: expected episodes of ${shapeText(first)}, got ${shapeText(other)}`);
  return { ...first, episodes: sources.flatMap(({ episodes }) => episodes) };
}

/**
 * The episodes with the highest returns, those that are needed for a share of all steps: what %BC is trained on.
 *
 * @param share between 0 and 1
 * @source Chen et al. 2021, "Decision Transformer", §5.1, arXiv:2106.01345
 */
export function bestEpisodes(trajectories: Trajectories, share: number): Trajectories {
  if (!(share > 0 && share <= 1))
    throw new RangeError(`bestEpisodes: share must be above 0 and at most 1, got ${share}`);
  const ranked = [...trajectories.episodes].sort((a, b) => returnOf(b) - returnOf(a));
  let left = share * ranked.reduce((sum, { rewards }) => sum + rewards.length, 0);
  const episodes: Episode[] = [];
  for (const episode of ranked) {
    if (left <= 0) break;
    episodes.push(episode);
    left -= episode.rewards.length;
  }
  return { ...trajectories, episodes };
}

/** Mean and standard deviation of each feature over all steps, [F]; a feature that never changes has a deviation of 1. */
export function statisticsOf({ features, episodes }: Trajectories): {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
} {
  const steps = episodes.reduce((sum, { rewards }) => sum + rewards.length, 0);
  const over = (value: (observation: number, feature: number) => number): number[] => {
    const sums = new Array<number>(features).fill(0);
    for (const { observations } of episodes)
      for (let i = 0; i < observations.length; i++) sums[i % features]! += value(observations[i]!, i % features);
    return sums.map((sum) => sum / steps);
  };
  const mean = over((value) => value);
  const variance = over((value, feature) => (value - mean[feature]!) ** 2);
  return { mean, deviation: variance.map((value) => Math.sqrt(value) || 1) };
}
