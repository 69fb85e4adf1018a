import { type Concrete, type Device, foldIn, type Given, keyToArray, putTree, randomKey } from "@tsformers/engine";
import { requireCounts } from "../../nn/sizes.ts";
import type { Environment } from "../environment.ts";
import { actor } from "./act.ts";
import type { ActorCritic } from "./actor-critic.ts";
import { environmentRows } from "./environment-rows.ts";

export type PlayOptions<Params> = {
  readonly model: ActorCritic<Params>;
  readonly params: Concrete<Params>;
  readonly environment: () => Environment;
  readonly episodes: number;
  readonly device: Device;
  /** Of environments and actions; other than that of the training. Default: 1. */
  readonly seed?: number;
  /** Whether the likeliest action is taken instead of one drawn from the policy. Default: true. */
  readonly greedy?: boolean;
};

/**
 * Plays episodes side by side, without learning.
 *
 * @returns the sum of rewards of each
 */
export async function playEpisodes<Params>(options: PlayOptions<Params>): Promise<number[]> {
  const { model, device, environment, episodes, seed = 1, greedy = true } = options;
  requireCounts("playEpisodes", { episodes });
  const key = foldIn(randomKey(seed), 4);
  const rows = environmentRows(environment, episodes, key);
  const acting = actor(model, device, { greedy });
  const params = putTree(options.params, device) as Given<Params>;
  const totals = new Array<number>(episodes).fill(0);
  const running = new Set(totals.keys());
  let memories = model.startMemories(episodes) as Given<readonly unknown[]>;
  try {
    for (let at = 0; running.size > 0; at++) {
      const chosen = await acting.act(params, rows, memories, keyToArray(foldIn(foldIn(key, 1), at)));
      memories = chosen.memories;
      const { rewards, ended } = rows.step(chosen.actions);
      for (const row of [...running]) {
        totals[row]! += rewards[row]!;
        if (ended[row]) running.delete(row);
      }
    }
  } finally {
    await acting.release();
  }
  return totals;
}
