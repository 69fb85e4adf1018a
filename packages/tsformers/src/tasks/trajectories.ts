import * as z from "zod";
import type { Environment } from "../rl/environment.ts";
import { cartPole } from "../rl/environments/cartpole.ts";
import { keyToDoor } from "../rl/environments/key-to-door.ts";
import { pendulum } from "../rl/environments/pendulum.ts";
import { bestEpisodes, joinedTrajectories, type Trajectories } from "../rl/off-line/episode.ts";
import { randomPolicy, rollOuts } from "../rl/off-line/roll-out.ts";
import { trajectoriesTask } from "../rl/off-line/windows.ts";
import { count, positionCount } from "../schema/count.ts";
import { present } from "../schema/present.ts";
import { dataOption } from "./data-option.ts";
import { seedOption, type TaskEntry, taskEntry } from "./task-entry.ts";

export type OffLineEnvironment = "cartpole" | "pendulum" | "key-to-door";

/** Makes an environment by its name. */
export const offLineEnvironments: Readonly<Record<OffLineEnvironment, () => Environment>> = {
  cartpole: cartPole,
  pendulum,
  "key-to-door": () => keyToDoor(),
};

export type TrajectoriesSettings = {
  readonly environment?: OffLineEnvironment;
  readonly data?: string;
  readonly randomEpisodes?: number;
  readonly best?: number;
  readonly hideReturns?: boolean;
  readonly returnScale?: number;
  readonly length?: number;
  readonly seed?: number;
};

export const trajectoriesEntry: TaskEntry<"trajectories", TrajectoriesSettings> = /* @__PURE__ */ taskEntry({
  name: "trajectories",
  title: "Trajectories",
  category: "data",
  summary: "do what led to the return that is asked for, from recorded episodes (off-line reinforcement learning)",
  options: () =>
    z.strictObject({
      environment: z
        .enum(Object.keys(offLineEnvironments) as [OffLineEnvironment, ...OffLineEnvironment[]])
        .default("key-to-door")
        .describe("what the episodes are of"),
      data: dataOption(
        "a .npz, .safetensors or .hdf5 file of episodes, as D4RL and Minari lay them out. Default: random ones alone",
      ),
      randomEpisodes: count(1_000_000, "they are kept in memory", 0)
        .optional()
        .describe("episodes of random actions beside those of the data. Default: 0 with data, 1000 without"),
      best: z
        .number()
        .positive()
        .max(1)
        .default(1)
        .describe("the share of steps that is kept, those of the best episodes"),
      hideReturns: z.boolean().default(false).describe("whether returns are hidden, which makes it behaviour cloning"),
      returnScale: z
        .number()
        .positive()
        .optional()
        .describe("returns are divided by it. Default: the largest there is"),
      length: positionCount().default(20).describe("the most steps of a training row"),
      seed: seedOption(),
    }),
  make: async ({ environment = "key-to-door", data, randomEpisodes, best: share = 1, ...rest }) => {
    const world = offLineEnvironments[environment]();
    const sources: Trajectories[] = [];
    if (data !== undefined) {
      const { readTrajectories } = await import("#files");
      sources.push(await readTrajectories(data, world));
    }
    const episodes = randomEpisodes ?? (data === undefined ? 1000 : 0);
    if (episodes > 0) sources.push(rollOuts(world, randomPolicy(world.actions), { episodes, seed: 0 }));
    const [first, ...others] = sources;
    if (first === undefined) throw new RangeError("trajectories: expected data or randomEpisodes above 0, got neither");
    return trajectoriesTask({
      name: environment,
      trajectories: bestEpisodes(joinedTrajectories(first, ...others), share),
      ...present(rest),
    });
  },
});
