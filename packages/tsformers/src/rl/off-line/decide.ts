import {
  type Concrete,
  categorical,
  compile,
  type Device,
  foldIn,
  fromNumbers,
  type Given,
  type NDArray,
  putTree,
  type RandomKey,
  randomKey,
  readTree,
} from "@tsformers/engine";
import { evaluation } from "../../kinds/layer.ts";
import type { DecisionInput, DecisionModel } from "../../models/agents/decision-model.ts";
import { requireCounts } from "../../nn/sizes.ts";
import { checkedEnvironment } from "../checked-environment.ts";
import type { Action, Environment } from "../environment.ts";
import { type Episode, shapeText, type Trajectories, widthOf } from "./episode.ts";
import { type Window, windowForm } from "./windows.ts";

export type DecideOptions = {
  /** Makes an environment; each episode has its own. */
  readonly environment: () => Environment;
  readonly episodes: number;
  /** The first episode begins with `reset(seed)`, the next with `seed + 1`; choices are drawn with the same. */
  readonly seed: number;
  /** What is asked for at the beginning; what was received is taken off. Default: returns are 0 throughout, as for a model that learned without. */
  readonly target?: number;
  /** Of the choices, the likeliest is made. Default: one is drawn with the probability that it is told with, as in the paper's Atari games. */
  readonly greedy?: boolean;
  /** K, the latest steps that are read. Default: 20. */
  readonly length?: number;
  readonly device: Device;
};

/**
 * Episodes in which a model acts: at each step it reads the latest K steps, with what is still asked for, and does what it tells: a choice drawn from its
 * logits, or the real action itself. All episodes go on side by side.
 *
 * @throws RangeError when the model is of another environment, and for numbers that cannot be
 * @source Chen et al. 2021, "Decision Transformer", algorithm 1, arXiv:2106.01345
 */
export async function decide<Params>(
  model: DecisionModel<Params>,
  params: Concrete<Params>,
  options: DecideOptions,
): Promise<Trajectories> {
  const { episodes, length = 20, device, target, greedy = false } = options;
  const { features, actions, longest } = model;
  requireCounts("decide", { episodes, length });
  if (target !== undefined && !Number.isFinite(target))
    throw new RangeError(`decide: target must be a finite number, got ${target}`);
  const players = Array.from({ length: episodes }, (_, i) =>
    begin(checkedEnvironment(options.environment()), options.seed + i, target),
  );
  requireEnvironment(model, players[0]!.environment);
  const act = compile((given: Params, input: DecisionInput) => model.apply(given, input, evaluation).actions, {
    device,
  });
  const form = windowForm(model);
  try {
    const known = putTree(params, device);
    while (players.some((player) => !player.ended)) {
      // Episodes that have ended stand as padding, so that every call has the same shape.
      const windows = players.map((player) => latest(player, length));
      const input = form.pack(windows, episodes, length) as unknown as Given<DecisionInput>;
      const told = (await readTree(await act(known as Given<Params>, input))) as unknown as NDArray;
      const width = told.shape[2]!;
      const values = told.toNumbers();
      players.forEach((player, row) => {
        if (player.ended) return;
        const end = (row + 1) * length * width;
        const last = values.slice(end - width, end);
        const choose = greedy ? likeliest : () => drawn(last, foldIn(randomKey(options.seed + row), player.made));
        make(player, actions.kind === "discrete" ? choose(last) : within(last, actions), target !== undefined);
      });
    }
  } finally {
    await act.release();
  }
  return { features, actions, longest, episodes: players.map(ended) };
}

/** A bound may be rounded up in float32. */
function within(action: readonly number[], { low, high }: { readonly low: number; readonly high: number }): number[] {
  return action.map((value) => Math.max(low, Math.min(high, value)));
}

function likeliest(logits: readonly number[]): number {
  return logits.indexOf(Math.max(...logits));
}

function drawn(logits: readonly number[], key: RandomKey): number {
  return categorical(key, fromNumbers(logits, [logits.length])).item();
}

/** An episode that goes on: what it holds so far, in arrays that have room for all of it. */
type Player = {
  readonly environment: Environment;
  readonly episode: Episode;
  /** What is asked for from each step on. */
  readonly returns: Float32Array;
  /** Steps that were made. */
  made: number;
  ended: boolean;
};

function begin(environment: Environment, seed: number, target: number | undefined): Player {
  const { features, actions, longest } = environment;
  const episode = {
    observations: new Float32Array(longest * features),
    actions: new Float32Array(longest * widthOf(actions)),
    rewards: new Float32Array(longest),
  };
  episode.observations.set(environment.reset(seed).observation);
  return { environment, episode, returns: new Float32Array(longest).fill(target ?? 0, 0, 1), made: 0, ended: false };
}

/** The latest steps of an episode, that to be made among them; none of one that has ended. */
function latest({ episode, returns, made, ended }: Player, length: number): Window {
  const end = ended ? made : made + 1;
  return { episode, returns, start: ended ? made : Math.max(0, end - length), end };
}

function make(player: Player, action: Action, isAsked: boolean): void {
  const { environment, episode, returns, made } = player;
  const { reward, terminated, truncated, observation } = environment.step(action);
  episode.actions.set(typeof action === "number" ? [action] : action, made * widthOf(environment.actions));
  episode.rewards[made] = reward;
  player.made += 1;
  player.ended = terminated || truncated;
  if (player.ended) return;
  episode.observations.set(observation, player.made * environment.features);
  if (isAsked) returns[player.made] = returns[made]! - reward;
}

function ended({ environment, episode, made }: Player): Episode {
  return {
    observations: episode.observations.slice(0, made * environment.features),
    actions: episode.actions.slice(0, made * widthOf(environment.actions)),
    rewards: episode.rewards.slice(0, made),
  };
}

function requireEnvironment({ features, actions, longest }: DecisionModel, environment: Environment): void {
  const known = { features, actions, longest };
  // Shorter episodes are no harm.
  if (shapeText({ ...environment, longest }) === shapeText(known) && environment.longest <= longest) return;
  throw new RangeError(
    `decide: the model is made for ${shapeText(known)}; ${environment.name} has ${shapeText(environment)}`,
  );
}
