import { randomKey, uniform } from "@tsformers/engine";
import { requireCounts } from "../../nn/sizes.ts";
import type { Environment } from "../environment.ts";

export type TMazeOptions = {
  /** Steps from the start to the junction. */
  readonly length: number;
  /** The most steps of an episode. Default: 10 × length. */
  readonly longest?: number;
};

/** Actions of {@link tMaze}: along the corridor, to the sides, and back. */
export const tMazeActions = { north: 0, east: 1, south: 2, west: 3 } as const;

const signs = { up: [0, 1, 1], down: [1, 1, 0], corridor: [1, 0, 1], junction: [0, 1, 0] } as const;

/**
 * T-maze: at the start a sign tells on which side of the junction at the far end of a corridor the goal lies. It is not seen again, so
 * that an agent must remember it for as long as the corridor is.
 *
 * Observations are three bits: 011 or 110 at the start, 101 in the corridor, 010 at the junction. The reward is 4 at the goal and −0.1
 * for the wrong side, which end the episode, −0.1 for walking against a wall, and otherwise 0.
 *
 * @source Bakker 2002, "Reinforcement Learning with Long Short-Term Memory", §4
 */
export function tMaze({ length, longest = 10 * length }: TMazeOptions): Environment {
  requireCounts("t-maze", { length, longest });
  if (longest <= length)
    throw new RangeError(`t-maze: longest must be more than the ${length} steps to the junction, got ${longest}`);
  let [at, steps, goalIsUp] = [0, 0, false];
  const observe = (): readonly number[] => {
    if (at === 0) return goalIsUp ? signs.up : signs.down;
    return at === length ? signs.junction : signs.corridor;
  };
  const after = (reward: number, terminated: boolean) => ({
    observation: observe(),
    reward,
    terminated,
    truncated: !terminated && steps >= longest,
  });
  return {
    name: `t-maze ${length} ${longest}`,
    features: 3,
    actions: { kind: "discrete", count: 4 },
    longest,
    reset: (seed) => {
      [at, steps, goalIsUp] = [0, 0, uniform(randomKey(seed), []).item() < 0.5];
      return { observation: observe() };
    },
    step: (action) => {
      const { north, south, east } = tMazeActions;
      steps += 1;
      if (action === north || action === south) {
        if (at < length) return after(-0.1, false);
        return after((action === north) === goalIsUp ? 4 : -0.1, true);
      }
      const next = at + (action === east ? 1 : -1);
      if (next < 0 || next > length) return after(-0.1, false);
      at = next;
      return after(0, false);
    },
  };
}
