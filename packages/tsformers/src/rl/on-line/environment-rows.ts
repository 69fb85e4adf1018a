import { bitsOf, foldIn, fromNumbers, type NDArray, type RandomKey } from "@tsformers/engine";
import { checkedEnvironment } from "../checked-environment.ts";
import type { Environment } from "../environment.ts";

/** What tells the state of environments whose chance comes from their seeds: everything else is played again. */
export type SavedRows = {
  /** How many episodes each row ended, int32 [B]. */
  readonly episodes: NDArray;
  /** The actions of the running episodes, int32 [B, longest]; what stands behind those made is 0. */
  readonly actions: NDArray;
  /** How many actions those are, int32 [B]. */
  readonly steps: NDArray;
};

/** What one step of all rows brought. */
export type RowsStep = {
  readonly rewards: readonly number[];
  readonly ended: readonly boolean[];
  /** The last observation of each episode that was cut off, by row: its future would have been worth something. */
  readonly cut: ReadonlyMap<number, readonly number[]>;
  /** Sums of rewards of the episodes that ended. */
  readonly returns: readonly number[];
};

/** B environments side by side, each of which begins anew when its episode ends. */
export type EnvironmentRows = {
  /** [B][features] */
  observations(): readonly (readonly number[])[];
  /** Whether each row has just begun an episode. */
  fresh(): readonly boolean[];
  step(actions: readonly number[]): RowsStep;
  save(): SavedRows;
  /** Plays the running episodes again up to where they stood. */
  restore(saved: SavedRows): void;
};

/** @param key of the seeds: that of the episode `e` of row `b` depends on the key, `b` and `e` alone */
export function environmentRows(make: () => Environment, count: number, key: RandomKey): EnvironmentRows {
  const rows = Array.from({ length: count }, (_, row) => oneRow(checkedEnvironment(make()), foldIn(key, row)));
  const { longest } = make();
  return {
    observations: () => rows.map(({ observation }) => observation()),
    fresh: () => rows.map(({ actions }) => actions().length === 0),
    step: (actions) => {
      const made = rows.map((row, i) => row.step(actions[i]!));
      return {
        rewards: made.map(({ reward }) => reward),
        ended: made.map(({ ended }) => ended !== undefined),
        cut: new Map(made.flatMap(({ ended }, i) => (ended?.cut === undefined ? [] : [[i, ended.cut]]))),
        returns: made.flatMap(({ ended }) => (ended === undefined ? [] : [ended.total])),
      };
    },
    save: () => {
      const padded = rows.flatMap((row) => Array.from({ length: longest }, (_, i) => row.actions()[i] ?? 0));
      return {
        episodes: fromNumbers(
          rows.map((row) => row.episode()),
          [count],
          "int32",
        ),
        actions: fromNumbers(padded, [count, longest], "int32"),
        steps: fromNumbers(
          rows.map((row) => row.actions().length),
          [count],
          "int32",
        ),
      };
    },
    restore: ({ episodes, actions, steps }) => {
      const all = actions.toNumbers();
      rows.forEach((row, i) => {
        const made = steps.toNumbers()[i]!;
        row.begin(episodes.toNumbers()[i]!);
        for (const action of all.slice(i * longest, i * longest + made)) row.step(action);
      });
    },
  };
}

function oneRow(environment: Environment, key: RandomKey) {
  let episode = 0;
  let observation: readonly number[] = [];
  let actions: number[] = [];
  let total = 0;
  const begin = (number: number): void => {
    episode = number;
    observation = environment.reset(bitsOf(foldIn(key, number), 1)[0]!).observation;
    actions = [];
    total = 0;
  };
  begin(0);
  return {
    begin,
    episode: () => episode,
    observation: () => observation,
    actions: () => actions,
    step: (action: number) => {
      const { terminated, truncated, reward, ...next } = environment.step(action);
      actions.push(action);
      total += reward;
      observation = next.observation;
      if (!(terminated || truncated)) return { reward, ended: undefined };
      const ended = { total, cut: terminated ? undefined : observation };
      begin(episode + 1);
      return { reward, ended };
    },
  };
}
