import { type Concrete, foldIn, fromNumbers, type Given, keyToArray, type RandomKey } from "@tsformers/engine";
import type { Acting, Actor } from "./act.ts";
import type { ActorCritic } from "./actor-critic.ts";
import type { EnvironmentRows } from "./environment-rows.ts";
import type { RollOut } from "./ppo.ts";

export type RollOutOptions<Params> = {
  readonly model: ActorCritic<Params>;
  readonly actor: Actor<Params>;
  readonly params: Given<Params>;
  readonly rows: EnvironmentRows;
  readonly memories: Given<readonly unknown[]>;
  /** T */
  readonly length: number;
  /** γ, by which the value of what would have followed is worth less than a reward. */
  readonly discount: number;
  readonly key: RandomKey;
};

/** A roll-out but for what the rows remembered before it, what the rows remember after it, and the sums of rewards of the episodes that ended in it. */
export type RolledOut = {
  readonly batch: Concrete<Omit<RollOut, "memories">>;
  readonly memories: Given<readonly unknown[]>;
  readonly returns: readonly number[];
};

/**
 * Acts for T steps in all rows. An episode that ends is followed by the next one in the same row, and so in the middle of the roll-out.
 *
 * Where an episode was cut off, its last reward includes γ times the value of its last observation: it did not end there by itself.
 */
export async function rollOut<Params>(options: RollOutOptions<Params>): Promise<RolledOut> {
  const { model, actor, params, rows, length, discount, key } = options;
  let { memories } = options;
  const act = (seen: Parameters<typeof actor.act>[1], at: number): Promise<Acting> =>
    actor.act(params, seen, memories, keyToArray(foldIn(key, at)));
  type Step = { readonly observations: readonly (readonly number[])[]; readonly fresh: readonly boolean[] };
  const steps: (Step & Acting & { readonly rewards: readonly number[]; readonly ended: readonly boolean[] })[] = [];
  const returns: number[] = [];
  for (let at = 0; at < length; at++) {
    const seen: Step = { observations: rows.observations(), fresh: rows.fresh() };
    const acting = await act(rows, at);
    memories = acting.memories;
    const made = rows.step(acting.actions);
    returns.push(...made.returns);
    const rewards = [...made.rewards];
    if (made.cut.size > 0) {
      const last = rows.observations().map((observation, row) => made.cut.get(row) ?? observation);
      const { values } = await act({ observations: () => last, fresh: () => last.map(() => false) }, at);
      for (const row of made.cut.keys()) rewards[row]! += discount * values[row]!;
    }
    steps.push({ ...seen, ...acting, rewards, ended: made.ended });
  }
  const { values: lastValues } = await act(rows, length);

  const count = lastValues.length;
  const table = <T>(of: (step: (typeof steps)[number]) => readonly T[]): T[] =>
    Array.from({ length: count }, (_, row) => steps.map((step) => of(step)[row]!)).flat();
  const numbers = (of: (step: (typeof steps)[number]) => readonly (number | boolean)[], dtype?: "int32") =>
    fromNumbers(table(of).map(Number), [count, length], dtype);
  const batch: RolledOut["batch"] = {
    observations: fromNumbers(table(({ observations }) => observations).flat(), [count, length, model.features]),
    fresh: numbers(({ fresh }) => fresh),
    actions: numbers(({ actions }) => actions, "int32"),
    logProbabilities: numbers(({ logProbabilities }) => logProbabilities),
    values: numbers(({ values }) => values),
    rewards: numbers(({ rewards }) => rewards),
    ends: numbers(({ ended }) => ended),
    lastValues: fromNumbers([...lastValues], [count]),
  };
  return { batch, memories, returns };
}
