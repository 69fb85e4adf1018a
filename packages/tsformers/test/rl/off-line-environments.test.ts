import { existsSync } from "node:fs";
import { convert } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { readSafetensorsFile } from "../../src/io/safetensors-file.ts";
import type { Environment } from "../../src/rl/environment.ts";
import { type CartPoleState, cartPole, cartPoleAfter } from "../../src/rl/environments/cartpole.ts";
import { keyToDoor } from "../../src/rl/environments/key-to-door.ts";
import { pendulum, pendulumAfter } from "../../src/rl/environments/pendulum.ts";
import { sharedData } from "../tasks/data-fixtures.ts";

const environments: Record<string, () => Environment> = { cartPole, pendulum, keyToDoor };
const someAction = ({ actions }: Environment, t: number) =>
  actions.kind === "discrete" ? (t * 7) % actions.count : [Math.sin(t) * actions.high];

test.each(Object.keys(environments))("%s: an episode is a function of its seed, and ends once", (name) => {
  const play = (seed: number) => {
    const environment = environments[name]!();
    const seen = [environment.reset(seed).observation];
    let ended = false;
    let steps = 0;
    while (!ended) {
      const next = environment.step(someAction(environment, steps));
      seen.push(next.observation);
      steps += 1;
      ended = next.terminated || next.truncated;
      expect(next.terminated && next.truncated).toBe(false);
    }
    expect(steps).toBeLessThanOrEqual(environment.longest);
    expect(new Set(seen.map((observation) => observation.length))).toEqual(new Set([environment.features]));
    return seen;
  };
  expect(play(3)).toEqual(play(3));
  expect(play(3)[0]).not.toEqual(play(4)[0]);
});

const data = (name: string) => sharedData(`gym_expert/${name}.safetensors`);
const here = existsSync(data("cartpole"));
if (!here) console.warn("off-line-environments.test.ts skipped in part: ../shared/data/gym_expert is not here");

describe.skipIf(!here)("published roll-outs", () => {
  const open = async (name: string) => {
    const arrays = await readSafetensorsFile(data(name));
    const numbers = (array: string) => convert(arrays.get(array)!, "float32").toNumbers();
    const lengths = numbers("episode_len");
    const ends = new Set(lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0) - 1));
    const [observations, actions, rewards] = ["obs", "acts", "rews"].map(numbers);
    const features = observations!.length / rewards!.length;
    const steps = rewards!.map((reward, t) => ({
      observation: observations!.slice(t * features, (t + 1) * features),
      action: actions![t]!,
      reward,
      next: observations!.slice((t + 1) * features, (t + 2) * features),
    }));
    return steps.filter((_, t) => !ends.has(t));
  };

  test("a cart with a pole moves as there, up to the rounding of stored observations", async () => {
    const steps = await open("cartpole");
    expect(steps.length).toBeGreaterThan(20_000);
    const errors = steps.flatMap(({ observation, action, next }) => {
      const state = observation as unknown as CartPoleState;
      return cartPoleAfter(state, action === 1 ? 10 : -10).map((value, i) => Math.abs(value - next[i]!));
    });
    expect(errors.reduce((most, error) => Math.max(most, error), 0)).toBeLessThan(1e-6);
  });

  test("a pendulum moves as there, and gives the same rewards", async () => {
    const steps = await open("pendulum");
    for (const { observation, action, next, reward } of steps) {
      const [cos, sin, speed] = observation as [number, number, number];
      const after = pendulumAfter({ angle: Math.atan2(sin, cos), speed }, action);
      expect(Math.abs(Math.cos(after.angle) - next[0]!)).toBeLessThan(2e-6);
      expect(Math.abs(Math.sin(after.angle) - next[1]!)).toBeLessThan(2e-6);
      expect(Math.abs(after.speed - next[2]!)).toBeLessThan(5e-6);
      expect(Math.abs(after.reward - reward)).toBeLessThan(2e-5);
    }
  });
});

test("a pendulum's torque has bounds", () => {
  const state = { angle: 1, speed: 0 };
  expect(pendulumAfter(state, 50)).toEqual(pendulumAfter(state, 2));
  expect(pendulumAfter(state, -50)).toEqual(pendulumAfter(state, -2));
});

test("a pole that is always pushed to one side falls within a dozen steps, one that is balanced stands to the time limit", () => {
  const environment = cartPole();
  const play = (choose: (observation: readonly number[]) => number) => {
    let { observation } = environment.reset(0);
    for (let steps = 1; ; steps++) {
      const next = environment.step(choose(observation));
      if (next.terminated || next.truncated) return { steps, terminated: next.terminated };
      observation = next.observation;
    }
  };
  expect(play(() => 1)).toMatchObject({ terminated: true });
  expect(play(() => 1).steps).toBeLessThan(13);
  expect(play(([x, speed, angle, turning]) => (0.1 * x! + 0.3 * speed! + 3 * angle! + turning! > 0 ? 1 : 0))).toEqual({
    steps: 500,
    terminated: false,
  });
});

describe("key to door", () => {
  test("the door opens to those who took the key, within the time there is", () => {
    const environment = keyToDoor();
    const towards = (observation: readonly number[]): number => {
      const [x, y, toX, toY, isSeen] = observation.slice(3) as [number, number, number, number, number];
      if (isSeen === 0) return 0;
      if (x !== toX) return x < toX ? 3 : 2;
      return y < toY ? 1 : 0;
    };
    for (let seed = 0; seed < 50; seed++) {
      let { observation } = environment.reset(seed);
      let reward = 0;
      for (let ended = false; !ended; ) {
        const next = environment.step(towards(observation));
        ({ observation } = next);
        reward += next.reward;
        ended = next.terminated || next.truncated;
      }
      expect(reward).toBe(1);
    }
  });

  test("without the key nothing happens at the door, and nothing seen later tells whether it was taken", () => {
    const environment = keyToDoor({ size: 2, steps: [2, 1, 3] });
    const play = (actions: readonly number[]) => {
      environment.reset(5);
      const steps = [];
      for (const action of actions) {
        steps.push(environment.step(action));
        if (steps.at(-1)!.terminated) break;
      }
      return steps;
    };
    const each = [0, 1, 2, 3];
    // In a room of four cells some first moves take the key and others do not.
    const inThirdRoom = each.map((first) => play([first, first, 0]).at(-1)!.observation);
    expect(new Set(inThirdRoom.map((observation) => JSON.stringify(observation))).size).toBe(1);
    const rewards = each.map((first) => each.map((last) => play([first, first, 0, last, last]).at(-1)!.reward));
    expect(rewards.filter((row) => row.every((reward) => reward === 0)).length).toBeGreaterThan(0);
    expect(rewards.flat()).toContain(1);
  });

  test("its name tells its sizes, so that a run in other rooms is not taken for this one", () => {
    expect(keyToDoor().name).toBe("key-to-door 4 8 4 8");
    expect(keyToDoor({ size: 3, steps: [6, 2, 5] }).name).toBe("key-to-door 3 6 2 5");
  });

  test("sizes that no room can have are refused", () => {
    expect(() => keyToDoor({ size: 1 })).toThrow("key-to-door: size must be an integer ≥ 2, got 1");
    expect(() => keyToDoor({ steps: [3, 0, 3] })).toThrow("key-to-door: steps must be three integers ≥ 1, got [3,0,3]");
  });
});
