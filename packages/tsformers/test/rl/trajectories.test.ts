import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeSafetensors, fromNumbers, type NDArray } from "@tsformers/engine";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { cartPole } from "../../src/rl/environments/cartpole.ts";
import { keyToDoor } from "../../src/rl/environments/key-to-door.ts";
import { pendulum } from "../../src/rl/environments/pendulum.ts";
import {
  bestEpisodes,
  joinedTrajectories,
  returnOf,
  returnsToGo,
  statisticsOf,
  type Trajectories,
} from "../../src/rl/off-line/episode.ts";
import { readTrajectories } from "../../src/rl/off-line/read-trajectories.ts";
import { randomPolicy, rollOuts, withNoise } from "../../src/rl/off-line/roll-out.ts";
import { trajectoriesTask } from "../../src/rl/off-line/windows.ts";

const shape = { features: 2, actions: { kind: "discrete", count: 3 }, longest: 9 } as const;
const home = mkdtempSync(join(tmpdir(), "tsformers-trajectories-"));
let count = 0;

function safetensors(arrays: Readonly<Record<string, NDArray>>): string {
  const path = join(home, `${count++}.safetensors`);
  writeFileSync(path, encodeSafetensors(new Map(Object.entries(arrays))));
  return path;
}

const flat = {
  observations: fromNumbers([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [5, 2]),
  actions: fromNumbers([0, 1, 2, 0, 1], [5], "int32"),
  rewards: fromNumbers([1, 0, 2, 0.5, -1], [5]),
  terminals: fromNumbers([0, 1, 0, 0, 0], [5]),
  timeouts: fromNumbers([0, 0, 0, 1, 0], [5]),
};

const hdf5 = () => readFileSync(new URL("../fixtures/hdf5/d4rl.hdf5", import.meta.url));

/** Episodes as lists. */
const lists = ({ episodes }: Trajectories) =>
  episodes.map(({ observations, actions, rewards }) => [[...observations], [...actions], [...rewards]]);

const expected = [
  [
    [1, 2, 3, 4],
    [0, 1],
    [1, 0],
  ],
  [
    [5, 6, 7, 8],
    [2, 0],
    [2, 0.5],
  ],
  [[9, 10], [1], [-1]],
];

describe("files of trajectories", () => {
  test("D4RL's layout: an episode ends where it was terminated or cut off", async () => {
    expect(lists(await readTrajectories(safetensors(flat), shape))).toEqual(expected);
  });

  test.each(["d4rl", "minari"])("HDF5, %s's layout", async (layout) => {
    const path = fileURLToPath(new URL(`../fixtures/hdf5/${layout}.hdf5`, import.meta.url));
    expect(lists(await readTrajectories(path, shape))).toEqual(expected);
  });

  test.each<[string, (path: string) => void, string]>([
    ["none", () => {}, "no such file"],
    ["of another format", (path) => writeFileSync(path, "observations"), "is no HDF5 file"],
    ["cut off", (path) => writeFileSync(path, hdf5().subarray(0, 3000)), "is damaged: "],
  ])("HDF5, a file that is %s, is refused in one line", async (_, write, words) => {
    const path = join(home, `${count++}.hdf5`);
    write(path);
    const { message } = await readTrajectories(path, shape).then(
      () => new Error("was read"),
      (error: Error) => error,
    );
    expect(message.startsWith(path)).toBe(true);
    expect(message).toContain(words);
    expect(message.split("\n")).toHaveLength(1);
  });

  test("with the lengths of the episodes", async () => {
    const { terminals, timeouts, observations: obs, actions: acts, rewards: rews } = flat;
    const path = safetensors({ obs, acts, rews, episode_len: fromNumbers([2, 2, 1], [3], "int32") });
    expect(lists(await readTrajectories(path, shape))).toEqual(expected);
    expect([terminals.size, timeouts.size]).toEqual([5, 5]);
  });

  test("Minari's layout: one folder an episode, with the observation of its end", async () => {
    const path = safetensors({
      "episode_10/observations": fromNumbers([9, 10, 0, 0], [2, 2]),
      "episode_10/actions": fromNumbers([1], [1], "int32"),
      "episode_10/rewards": fromNumbers([-1], [1]),
      "episode_2/observations": fromNumbers([5, 6, 7, 8], [2, 2]),
      "episode_2/actions": fromNumbers([2, 0], [2], "int32"),
      "episode_2/rewards": fromNumbers([2, 0.5], [2]),
    });
    expect(lists(await readTrajectories(path, shape))).toEqual(expected.slice(1));
  });

  test("NumPy's archives, of float64 and int64, too", async () => {
    const path = join(home, "all.npz");
    writeFileSync(
      path,
      zipSync({
        "observations.npy": npy("<f8", [5, 2], Float64Array.from(flat.observations.toNumbers())),
        "actions.npy": npy("<i8", [5], BigInt64Array.from([0n, 1n, 2n, 0n, 1n])),
        "rewards.npy": npy("<f4", [5], Float32Array.from(flat.rewards.toNumbers())),
        "terminals.npy": npy("|b1", [5], Uint8Array.from([0, 1, 0, 1, 0])),
        "infos.npy": npy("|O", [5], new Uint8Array(5)),
      }),
    );
    expect(lists(await readTrajectories(path, shape))).toEqual(expected);
  });

  const { rewards, ...withoutRewards } = flat;
  const { terminals, timeouts, ...withoutEnds } = flat;
  test.each([
    [withoutRewards, "rewards is missing (it has actions, observations, terminals, timeouts)"],
    [withoutEnds, "terminals is missing, and so are timeouts and episode_len (it has actions, observations, rewards)"],
    [{ ...flat, observations: fromNumbers([1, 2, 3, 4, 5], [5, 1]) }, "observations: expected [5, 2], found [5, 1]"],
    [{ ...flat, rewards: fromNumbers([1, 2, 3, 4], [4]) }, "actions: expected [4] or [4, 1], found [5]"],
    [{ ...flat, terminals: fromNumbers([0, 1], [2]) }, "terminals: expected [5], found [2]"],
    [{ ...flat, actions: fromNumbers([0, 1, 2, 3, 0], [5]) }, "actions: expected integers from 0 to 2, found 3"],
    [
      { ...flat, rewards: fromNumbers([0, 1, Number.NaN, 3, 0], [5]) },
      "rewards: expected finite numbers, found NaN at element 2",
    ],
    [
      { ...withoutEnds, episode_len: fromNumbers([2, 2], [2]) },
      "episode_len: expected whole numbers that add up to the 5 steps, found a sum of 4",
    ],
    [{ "episode_0/rewards": rewards }, "episode_0/actions is missing (it has rewards)"],
  ])("a file that cannot be used is one line: case %#", async (arrays, message) => {
    const path = safetensors(arrays as Record<string, NDArray>);
    await expect(readTrajectories(path, shape)).rejects.toThrow(`${path}: ${message}`);
  });

  test("episodes that are too long, real actions out of bounds, other files", async () => {
    await expect(readTrajectories(safetensors(flat), { ...shape, longest: 1 })).rejects.toThrow(
      "episode 0 has 2 steps, expected at most 1",
    );
    const real = { ...shape, actions: { kind: "continuous", width: 1, low: -1, high: 1 } } as const;
    await expect(readTrajectories(safetensors(flat), real)).rejects.toThrow(
      "actions: expected numbers from -1 to 1, found 2",
    );
    await expect(readTrajectories("data.csv", shape)).rejects.toThrow(
      "data.csv: expected trajectories in a .npz, .safetensors or .hdf5 file",
    );
    const damaged = join(home, "damaged.npz");
    writeFileSync(damaged, zipSync({ "rewards.npy": npy("<f4", [7], new Float32Array(5)) }));
    await expect(readTrajectories(damaged, shape)).rejects.toThrow("its shape [7] needs 28 bytes, it has 20");
  });
});

describe("episodes", () => {
  const of = (...rewards: number[]) => ({
    observations: new Float32Array(2 * rewards.length),
    actions: new Float32Array(rewards.length),
    rewards: Float32Array.from(rewards),
  });
  const trajectories: Trajectories = { ...shape, episodes: [of(1, 1), of(5), of(0, 0, 1), of(3, 0, 0, 0)] };

  test("returns to go are sums of what follows", () => {
    expect([...returnsToGo(Float32Array.from([1, 0, 2, -1]))]).toEqual([2, 1, 1, -1]);
  });

  test("the best are those with the highest returns, for a share of the steps", () => {
    expect(bestEpisodes(trajectories, 0.1).episodes.map(returnOf)).toEqual([5]);
    expect(bestEpisodes(trajectories, 0.5).episodes.map(returnOf)).toEqual([5, 3]);
    expect(bestEpisodes(trajectories, 0.51).episodes.map(returnOf)).toEqual([5, 3, 2]);
    expect(bestEpisodes(trajectories, 1).episodes).toHaveLength(4);
    expect(() => bestEpisodes(trajectories, 0)).toThrow("bestEpisodes: share must be above 0 and at most 1, got 0");
  });

  test("mean and deviation of each feature", () => {
    const seen = { ...of(0, 0), observations: Float32Array.from([1, 7, 3, 7]) };
    expect(statisticsOf({ ...shape, episodes: [seen] })).toEqual({ mean: [2, 7], deviation: [1, 1] });
  });

  test("only episodes of one environment are joined", () => {
    expect(joinedTrajectories(trajectories, trajectories).episodes).toHaveLength(8);
    expect(() => joinedTrajectories(trajectories, { ...trajectories, features: 3 })).toThrow(
      "joinedTrajectories: expected episodes of 2 features, 3 choices and at most 9 steps, got 3 features, 3 choices and at most 9 steps",
    );
  });

  test("roll-outs are functions of the seed, and noise is as frequent as asked for", () => {
    const of = (seed: number, rate: number) =>
      rollOuts(
        cartPole(),
        withNoise(() => 1, cartPole().actions, rate),
        { episodes: 20, seed },
      );
    expect(lists(of(7, 0.5))).toEqual(lists(of(7, 0.5)));
    expect(lists(of(7, 0.5))).not.toEqual(lists(of(8, 0.5)));
    expect(of(0, 0).episodes.flatMap(({ actions }) => [...actions])).not.toContain(0);
    const some = rollOuts(pendulum(), randomPolicy(pendulum().actions), { episodes: 2, seed: 0 });
    expect(some.episodes.map(({ rewards }) => rewards.length)).toEqual([200, 200]);
    expect(some.episodes.every(({ actions }) => actions.every((value) => Math.abs(value) <= 2))).toBe(true);
  });
});

describe("windows", () => {
  const world = keyToDoor();
  const trajectories = rollOuts(world, randomPolicy(world.actions), { episodes: 30, seed: 1 });
  const task = trajectoriesTask({ name: "key-to-door", trajectories, length: 6 });

  test("are parts of episodes, with padding in front", () => {
    const batch = task.views.windows.trainBatch(1, 64);
    const [returns, states, actions, steps, mask] = (
      ["returns", "states", "actions", "timesteps", "mask"] as const
    ).map((name) => batch[name].toNumbers());
    const known = new Set(
      trajectories.episodes.flatMap(({ observations, actions, rewards }) =>
        [...returnsToGo(rewards)].map((toGo, t) =>
          JSON.stringify([t, toGo, actions[t], ...observations.slice(t * 8, (t + 1) * 8)]),
        ),
      ),
    );
    let padded = 0;
    for (let i = 0; i < 64 * 6; i++) {
      if (mask![i] === 0) {
        padded += 1;
        expect(i % 6 === 0 || mask![i - 1] === 0).toBe(true);
        continue;
      }
      expect(known).toContain(
        JSON.stringify([steps![i], returns![i], actions![i], ...states!.slice(i * 8, (i + 1) * 8)]),
      );
      if (i % 6 > 0 && mask![i - 1] === 1) expect(steps![i]).toBe(steps![i - 1]! + 1);
    }
    expect(padded).toBeGreaterThan(0);
  });

  test("are pure functions of seed and step, and hide returns where asked to", () => {
    const { view, ...other } = {
      view: task.views.windows,
      seed: trajectoriesTask({ name: "key-to-door", trajectories, seed: 5 }),
    };
    expect(view.trainBatch(3, 4)).toEqual(view.trainBatch(3, 4));
    expect(view.trainBatch(3, 4)).not.toEqual(view.trainBatch(4, 4));
    expect(other.seed.views.windows.trainBatch(3, 4, 6)).not.toEqual(view.trainBatch(3, 4));
    const hidden = trajectoriesTask({ name: "key-to-door", trajectories, length: 6, hideReturns: true });
    expect(new Set(hidden.views.windows.trainBatch(1, 64).returns.toNumbers())).toEqual(new Set([0]));
    expect(new Set(view.trainBatch(1, 64).returns.toNumbers()).size).toBeGreaterThan(1);
    expect(hidden.fingerprint).not.toBe(task.fingerprint);
  });

  test("of nothing are refused", () => {
    expect(() => trajectoriesTask({ name: "x", trajectories: { ...trajectories, episodes: [] } })).toThrow(
      "x: expected at least one episode, got none",
    );
  });
});

/** NumPy's format, version 1. */
function npy(
  descr: string,
  shape: readonly number[],
  data: Float32Array | Float64Array | BigInt64Array | Uint8Array,
): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = Buffer.from(`${text}${" ".repeat((64 - ((10 + text.length + 1) % 64)) % 64)}\n`, "latin1");
  const start = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([start, header, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}
