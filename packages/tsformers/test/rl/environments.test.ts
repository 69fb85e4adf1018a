import { expect, test } from "vitest";
import { checkedEnvironment } from "../../src/rl/checked-environment.ts";
import type { Environment, Transition } from "../../src/rl/environment.ts";
import { cartPole } from "../../src/rl/environments/cartpole.ts";
import { keyToDoor } from "../../src/rl/environments/key-to-door.ts";
import { recall } from "../../src/rl/environments/recall.ts";
import { tMaze, tMazeActions } from "../../src/rl/environments/t-maze.ts";

const { north, east, south, west } = tMazeActions;

test("a T-maze shows its sign at the start alone, and pays for the side that it told", () => {
  const maze = checkedEnvironment(tMaze({ length: 3 }));
  const goals = new Set<number>();
  for (let seed = 0; seed < 20; seed++) {
    const { observation } = maze.reset(seed);
    const goal = observation[0] === 0 ? north : south;
    goals.add(goal);
    expect(observation).toEqual(goal === north ? [0, 1, 1] : [1, 1, 0]);
    expect(maze.step(north)).toEqual({ observation, reward: -0.1, terminated: false, truncated: false });
    expect(maze.step(west).reward).toBe(-0.1);
    expect(maze.step(east).observation).toEqual([1, 0, 1]);
    expect(maze.step(south)).toMatchObject({ observation: [1, 0, 1], reward: -0.1 });
    expect(maze.step(west).observation).toEqual(observation);
    maze.step(east);
    expect(maze.step(east).observation).toEqual([1, 0, 1]);
    expect(maze.step(east)).toMatchObject({ observation: [0, 1, 0], reward: 0 });
    expect(maze.step(east)).toMatchObject({ observation: [0, 1, 0], reward: -0.1, terminated: false });
    const right = seed % 2 === 0;
    const side = right === (goal === north) ? north : south;
    expect(maze.step(side)).toMatchObject({ reward: right ? 4 : -0.1, terminated: true, truncated: false });
  }
  expect(goals.size).toBe(2);
});

test("a T-maze cuts episodes off at the longest", () => {
  const maze = checkedEnvironment(tMaze({ length: 2, longest: 4 }));
  maze.reset(1);
  for (let step = 1; step <= 4; step++) expect(maze.step(west).truncated).toBe(step === 4);
  expect(() => maze.step(west)).toThrow("t-maze 2 4: no episode runs; call reset before step");
});

test("recall asks for what was shown so many steps before", () => {
  const [distance, length] = [3, 12];
  const environment = checkedEnvironment(recall({ distance, length }));
  const shown = [environment.reset(5).observation.indexOf(1)];
  let total = 0;
  for (let step = 0; step < length; step++) {
    const asked = shown[step - distance];
    const { observation, reward, terminated } = environment.step(step % 4 === 3 ? 3 - (asked ?? 0) : (asked ?? 0));
    const isRight = step % 4 !== 3 || 3 - asked! === asked;
    expect(reward).toBe(asked === undefined ? 0 : (isRight ? 1 : -1) / (length - distance));
    expect(terminated).toBe(step === length - 1);
    shown.push(observation.indexOf(1));
    total += reward;
  }
  expect(new Set(shown)).toEqual(new Set([0, 1, 2, 3]));
  expect(total).toBeLessThan(1);
});

test.each([
  ["t-maze", () => tMaze({ length: 4 })],
  ["recall", () => recall({ distance: 2, length: 9 })],
  ["key-to-door", () => keyToDoor()],
  ["cartpole", cartPole],
])("%s: all chance comes from the seed, and episodes end in time", (_, make) => {
  const [a, b] = [checkedEnvironment(make()), checkedEnvironment(make())];
  const play = (environment: Environment, seed: number): Transition[] => {
    const made: Transition[] = [{ ...environment.reset(seed), reward: 0, terminated: false, truncated: false }];
    const { actions } = environment;
    if (actions.kind !== "discrete") throw new Error("expected discrete actions");
    for (let i = 0; !(made.at(-1)!.terminated || made.at(-1)!.truncated); i++)
      made.push(environment.step((i * i * 3 + i + seed) % actions.count));
    expect(made.length).toBeLessThanOrEqual(environment.longest + 1);
    return made;
  };
  const first = [1, 2, 3, 4, 5].map((seed) => play(a, seed));
  expect([5, 4, 3, 2, 1].map((seed) => play(b, seed)).reverse()).toEqual(first);
  expect(first.some((episode) => JSON.stringify(episode) !== JSON.stringify(first[0]))).toBe(true);
});

const still: Environment = {
  name: "still",
  features: 2,
  actions: { kind: "discrete", count: 3 },
  longest: 2,
  reset: () => ({ observation: [0, 0] }),
  step: () => ({ observation: [0, 0], reward: 0, terminated: false, truncated: false }),
};
const giving = (more: Partial<Transition>) => ({ ...still, step: () => ({ ...still.step(0), ...more }) });

test.each([
  [
    "an observation of another width",
    giving({ observation: [1, 2, 3] }),
    "still: expected an observation of 2 numbers, got 3",
  ],
  ["NaN", giving({ observation: [0, Number.NaN] }), "still: expected finite observations, got NaN as feature 1"],
  ["an infinite reward", giving({ reward: Number.POSITIVE_INFINITY }), "still: expected a finite reward, got Infinity"],
])("%s is named", (_, environment, message) => {
  const checked = checkedEnvironment(environment);
  checked.reset(0);
  expect(() => checked.step(0)).toThrow(message);
});

test("what an environment is asked must fit, too", () => {
  const checked = checkedEnvironment(still);
  expect(() => checked.step(0)).toThrow("still: no episode runs; call reset before step");
  checked.reset(0);
  for (const action of [3, -1, 0.5, [0]])
    expect(() => checked.step(action)).toThrow(`still: expected an action from 0 to 2, got ${JSON.stringify(action)}`);
  checked.step(0);
  expect(() => checked.step(0)).toThrow("still: expected an episode of at most 2 steps, got one that goes on");
  expect(() => checkedEnvironment({ ...still, reset: () => ({ observation: [1] }) }).reset(0)).toThrow(
    "still: expected an observation of 2 numbers, got 1",
  );
  const wide = checkedEnvironment({ ...still, actions: { kind: "continuous", width: 2, low: -1, high: 1 } });
  wide.reset(0);
  wide.step([0.5, -1]);
  for (const action of [1, [0], [0, 2], [0, Number.NaN]])
    expect(() => wide.step(action)).toThrow("still: expected an action of 2 numbers from -1 to 1");
});

test("sizes that make no sense are refused", () => {
  expect(() => tMaze({ length: 0 })).toThrow("t-maze: length must be a whole number of at least 1, got 0");
  expect(() => tMaze({ length: 5, longest: 5 })).toThrow("longest must be more than the 5 steps");
  expect(() => recall({ distance: 8, length: 8 })).toThrow("distance must be a whole number less than the 8 steps");
});
