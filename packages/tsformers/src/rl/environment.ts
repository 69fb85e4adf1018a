/** What an environment expects of an agent: one of `count` choices, or `width` real numbers, each from `low` to `high`. */
export type ActionSpace =
  | { readonly kind: "discrete"; readonly count: number }
  | { readonly kind: "continuous"; readonly width: number; readonly low: number; readonly high: number };

/** A choice counted from 0, or the numbers of a continuous action. */
export type Action = number | readonly number[];

/** What follows an action. */
export type Transition = {
  /** [features] */
  readonly observation: readonly number[];
  readonly reward: number;
  /** Whether the episode came to an end of its own: nothing follows. */
  readonly terminated: boolean;
  /** Whether the episode was cut off, for example by a time limit: something would have followed. */
  readonly truncated: boolean;
};

/**
 * A world that an agent acts in, of the shape of Gymnasium's `Env`. All chance comes from the seed of `reset`.
 *
 * @source Towers et al. 2024, "Gymnasium: A Standard Interface for Reinforcement Learning Environments", arXiv:2407.17032
 */
export type Environment = {
  readonly name: string;
  /** How many real numbers an observation has. */
  readonly features: number;
  readonly actions: ActionSpace;
  /** The most steps of an episode. */
  readonly longest: number;
  /** Begins an episode. */
  reset(seed: number): { readonly observation: readonly number[] };
  step(action: Action): Transition;
};
