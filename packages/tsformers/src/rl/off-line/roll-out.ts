import { foldIn, randomKey, uniform } from "@tsformers/engine";
import { checkedEnvironment } from "../checked-environment.ts";
import type { Action, ActionSpace, Environment } from "../environment.ts";
import { type Episode, type Trajectories, widthOf } from "./episode.ts";

/** What to do after an observation; `chance()` gives uniform numbers, 0 ≤ u < 1. */
export type Policy = (observation: readonly number[], chance: () => number) => Action;

/**
 * Episodes that a policy makes.
 *
 * @param options.seed the first episode begins with `reset(seed)`, the next with `seed + 1`
 */
export function rollOuts(
  environment: Environment,
  policy: Policy,
  { episodes, seed }: { readonly episodes: number; readonly seed: number },
): Trajectories {
  const { features, actions, longest } = environment;
  const checked = checkedEnvironment(environment);
  const all = Array.from({ length: episodes }, (_, index) => rollOut(checked, policy, seed + index));
  return { features, actions, longest, episodes: all };
}

function rollOut(environment: Environment, policy: Policy, seed: number): Episode {
  const chance = chances(seed);
  const steps: Step[] = [];
  let { observation } = environment.reset(seed);
  for (let ended = false; !ended; ) {
    const action = policy(observation, chance);
    const next = environment.step(action);
    steps.push({ observation, action, reward: next.reward });
    ended = next.terminated || next.truncated;
    observation = next.observation;
  }
  return episodeOf(steps, environment);
}

type Step = { readonly observation: readonly number[]; readonly action: Action; readonly reward: number };

/** The steps of an episode as arrays. */
function episodeOf(steps: readonly Step[], { features, actions }: Pick<Environment, "features" | "actions">): Episode {
  const width = widthOf(actions);
  const episode = {
    observations: new Float32Array(steps.length * features),
    actions: new Float32Array(steps.length * width),
    rewards: new Float32Array(steps.length),
  };
  steps.forEach(({ observation, action, reward }, t) => {
    episode.observations.set(observation, t * features);
    episode.actions.set(typeof action === "number" ? [action] : action, t * width);
    episode.rewards[t] = reward;
  });
  return episode;
}

/** Every action alike. */
export function randomPolicy(actions: ActionSpace): Policy {
  if (actions.kind === "discrete") return (_, chance) => Math.floor(chance() * actions.count);
  const { width, low, high } = actions;
  return (_, chance) => Array.from({ length: width }, () => low + chance() * (high - low));
}

/** A policy that does something random instead, as often as `rate` says. */
export function withNoise(policy: Policy, actions: ActionSpace, rate: number): Policy {
  if (!(rate >= 0 && rate <= 1)) throw new RangeError(`withNoise: rate must be between 0 and 1, got ${rate}`);
  const random = randomPolicy(actions);
  return (observation, chance) => (chance() < rate ? random : policy)(observation, chance);
}

/** Uniform numbers of a seed, drawn in pieces. */
function chances(seed: number): () => number {
  const [key, piece] = [randomKey(seed), 256];
  let [drawn, at]: [readonly number[], number] = [[], 0];
  return () => {
    if (at % piece === 0) drawn = uniform(foldIn(key, 1 + at / piece), [piece]).toNumbers();
    return drawn[at++ % piece]!;
  };
}
