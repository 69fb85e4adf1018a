import { cast, concat, fromNumbers, gather, slice, stack, sub, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import type { DecisionInput, DecisionModel } from "../../src/models/agents/decision-model.ts";
import { decisionTransformer } from "../../src/models/agents/decision-transformer.ts";
import { deciding } from "../../src/objectives/deciding.ts";
import type { Environment } from "../../src/rl/environment.ts";
import { cartPole } from "../../src/rl/environments/cartpole.ts";
import { decide } from "../../src/rl/off-line/decide.ts";
import { returnOf, type Trajectories } from "../../src/rl/off-line/episode.ts";
import { trajectoriesTask } from "../../src/rl/off-line/windows.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const device = await openCpu();
afterAll(() => device.close());
const shape = { features: 1, actions: { kind: "discrete", count: 2 }, longest: 6 } as const;

/** Choice 1 is paid with 1, choice 0 with 0, for six steps; an episode of an odd seed ends after three. */
function wages(): Environment {
  let [steps, end] = [0, 0];
  return {
    ...shape,
    name: "wages",
    reset: (seed) => {
      [steps, end] = [0, seed % 2 === 0 ? 6 : 3];
      return { observation: [0] };
    },
    step: (action) => {
      steps += 1;
      return { observation: [steps], reward: action as number, terminated: false, truncated: steps === end };
    },
  };
}

test("a trained model receives what it is asked for", async () => {
  // Every sequence of six choices: a choice says nothing of the next one, but with what is still asked for.
  const episodes = Array.from({ length: 64 }, (_, bits) => {
    const actions = Float32Array.from({ length: 6 }, (_, t) => (bits >> t) & 1);
    return { observations: Float32Array.from([0, 1, 2, 3, 4, 5]), actions, rewards: actions };
  });
  const trajectories: Trajectories = { ...shape, episodes };
  const task = trajectoriesTask({ name: "wages", trajectories, length: 6 });
  const model = decisionTransformer({ ...task.views.windows.decisions, layers: 1, modelWidth: 16, heads: 1 });
  const { params, evaluation } = await train({
    objective: deciding(model),
    task,
    view: task.views.windows,
    optimiser: adamw(),
    schedule: constantRate(1e-2),
    steps: 150,
    batchSize: 32,
    length: 6,
    device,
  });
  // Better than the half of the actions that a coin tells.
  expect(evaluation!.totals.correct! / evaluation!.totals.tokens).toBeGreaterThan(0.6);
  const options = { environment: wages, episodes: 8, seed: 0, length: 6, device };
  for (const target of [0, 6]) {
    const { episodes } = await decide(model, params, { ...options, target, greedy: true });
    expect(episodes.map(({ rewards }) => rewards.length)).toEqual([6, 3, 6, 3, 6, 3, 6, 3]);
    for (const [i, episode] of episodes.entries())
      expect(returnOf(episode)).toBe(target === 0 ? 0 : i % 2 === 0 ? 6 : 3);
  }
  const middle = await decide(model, params, { ...options, target: 3, episodes: 16, seed: 0 });
  const long = middle.episodes.filter(({ rewards }) => rewards.length === 6).map(returnOf);
  expect(long.reduce((a, b) => a + b, 0) / long.length).toBeCloseTo(3, 0);
});

describe("what a model reads while it acts", () => {
  /** A model whose logits are a function of what it reads. */
  const reading = (logits: (input: DecisionInput) => Tensor): DecisionModel => ({
    ...shape,
    init: () => ({}),
    apply: (_, input) => ({ actions: logits(input) }) as never,
  });
  const options = { environment: wages, episodes: 1, seed: 0, length: 2, device, greedy: true };
  const actionsOf = async (model: DecisionModel, target?: number) => {
    const { episodes } = await decide(model, {}, { ...options, ...(target !== undefined && { target }) });
    return [...episodes[0]!.actions];
  };

  test("the numbers of the steps, though only the latest two are read", async () => {
    const table = fromNumbers([0, 9, 9, 0, 0, 9, 0, 9, 9, 0, 9, 0], [6, 2]);
    expect(await actionsOf(reading(({ timesteps }) => gather(table, timesteps)))).toEqual([1, 0, 1, 1, 0, 0]);
  });

  test("what is still asked for, which is less by what was received", async () => {
    const model = reading(({ returns }) => stack([sub(2.5, returns), sub(returns, 2.5)], -1));
    expect(await actionsOf(model, 5)).toEqual([1, 1, 1, 0, 0, 0]);
    expect(await actionsOf(model, 2)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await actionsOf(model)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("what was done before, at the step where it was done", async () => {
    // Does the other of what was done at the step before; at the first step there is padding, which is 0.
    const model = reading(({ actions }) => {
      const before = cast(slice(actions, 1, 0, 1), "float32");
      const other = concat([before, sub(1, before)], -1);
      return stack([other, other], 1);
    });
    expect(await actionsOf(model)).toEqual([1, 0, 1, 0, 1, 0]);
  });
});

test("a model of another environment and numbers that cannot be are refused", async () => {
  const model = decisionTransformer({ ...shape, layers: 1, modelWidth: 4, heads: 1 });
  const refused = (wrong: object) =>
    decide(model, model.init({ words: [0, 0] }), { environment: wages, episodes: 1, seed: 0, device, ...wrong });
  await expect(refused({ environment: cartPole })).rejects.toThrow(
    "decide: the model is made for 1 features, 2 choices and at most 6 steps; cartpole has 4 features, 2 choices and at most 500 steps",
  );
  await expect(refused({ episodes: 0 })).rejects.toThrow(
    "decide: episodes must be a whole number of at least 1, got 0",
  );
  await expect(refused({ length: 0.5 })).rejects.toThrow(
    "decide: length must be a whole number of at least 1, got 0.5",
  );
  await expect(refused({ target: Number.NaN })).rejects.toThrow("decide: target must be a finite number, got NaN");
});
