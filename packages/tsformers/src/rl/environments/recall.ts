import { randomKey, uniform } from "@tsformers/engine";
import { requireCounts } from "../../nn/sizes.ts";
import type { Environment } from "../environment.ts";

export type RecallOptions = {
  /** How many different symbols there are. Default: 4. */
  readonly symbols?: number;
  /** How many steps back the asked symbol lies; 0 asks for the one that is seen. */
  readonly distance: number;
  /** Steps of an episode. */
  readonly length: number;
};

/**
 * Recall: every step shows a random symbol and asks for the one that was shown `distance` steps before.
 *
 * Observations are one-hot. A right answer is worth `1/(length − distance)` and a wrong one as much less than nothing, so that a perfect
 * episode has return 1; nothing is asked in the first `distance` steps.
 *
 * @source Morad et al. 2023, "POPGym: Benchmarking Partially Observable Reinforcement Learning", RepeatPrevious, arXiv:2303.01859
 * @differs symbols are drawn independently, not from a deck of cards
 */
export function recall({ symbols = 4, distance, length }: RecallOptions): Environment {
  requireCounts("recall", { symbols, length });
  if (!(Number.isSafeInteger(distance) && distance >= 0 && distance < length))
    throw new RangeError(
      `recall: distance must be a whole number less than the ${length} steps of an episode, got ${distance}`,
    );
  const worth = 1 / (length - distance);
  let shown: readonly number[] = [];
  let steps = 0;
  const observe = (): number[] => Array.from({ length: symbols }, (_, symbol) => (symbol === shown[steps] ? 1 : 0));
  return {
    name: `recall ${symbols} ${distance} ${length}`,
    features: symbols,
    actions: { kind: "discrete", count: symbols },
    longest: length,
    reset: (seed) => {
      const drawn = uniform(randomKey(seed), [length + 1]).toNumbers();
      shown = drawn.map((x) => Math.floor(x * symbols));
      steps = 0;
      return { observation: observe() };
    },
    step: (action) => {
      const asked = shown[steps - distance];
      steps += 1;
      const reward = asked === undefined ? 0 : action === asked ? worth : -worth;
      return { observation: observe(), reward, terminated: steps >= length, truncated: false };
    },
  };
}
