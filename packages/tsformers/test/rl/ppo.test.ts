import {
  type Concrete,
  evaluate,
  fromNumbers,
  type NDArray,
  normal,
  randomKey,
  reshape,
  type Tensor,
  uniform,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import type { ActorCritic } from "../../src/rl/on-line/actor-critic.ts";
import { generalisedAdvantages, type Rewards } from "../../src/rl/on-line/advantages.ts";
import { ppoLoss, type RollOut } from "../../src/rl/on-line/ppo.ts";
import { lossAndGradients } from "../../src/train/accumulate.ts";

const device = await openCpu();
afterAll(() => device.close());

const [B, T, A] = [3, 6, 4];
const [discount, lambda] = [0.9, 0.8];

const numbers = (seed: number, shape: readonly number[]) => normal(randomKey(seed), [...shape]);
/** Episodes that end in the middle, at the last step, one after the other, and not at all. */
const ends = [
  [0, 0, 1, 0, 0, 1],
  [1, 1, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0],
];
const given: Concrete<Rewards> = {
  rewards: numbers(1, [B, T]),
  ends: fromNumbers(ends.flat(), [B, T]),
  values: numbers(2, [B, T]),
  lastValues: numbers(3, [B]),
};

/** From the last step to the first: `A_t = δ_t + γλ·A_{t+1}` within an episode. */
function plainAdvantages({ rewards, values, lastValues }: Concrete<Rewards>): number[][] {
  const table = (x: NDArray) => Array.from({ length: B }, (_, b) => x.toNumbers().slice(b * T, (b + 1) * T));
  return table(rewards).map((row, b) => {
    const value = [...table(values)[b]!, lastValues.toNumbers()[b]!];
    const advantages = new Array<number>(T + 1).fill(0);
    for (let t = T - 1; t >= 0; t--) {
      const goesOn = 1 - ends[b]![t]!;
      const error = row[t]! + discount * goesOn * value[t + 1]! - value[t]!;
      advantages[t] = error + discount * lambda * goesOn * advantages[t + 1]!;
    }
    return advantages.slice(0, T);
  });
}

test("advantages are their recursion, episode by episode", async () => {
  const found = (await evaluate(
    (given: Rewards) => generalisedAdvantages(given, { discount, lambda }),
    device,
    given as never,
  )) as NDArray;
  expect(found.shape).toEqual([B, T]);
  const expected = plainAdvantages(given).flat();
  found.toNumbers().forEach((x, i) => void expect(x).toBeCloseTo(expected[i]!, 5));
});

/** A model whose outputs are its parameters. */
type Table = { logits: Tensor; values: Tensor };
const table: ActorCritic<Table> = {
  features: 1,
  choices: A,
  init: () => ({ logits: numbers(4, [B, T, A]), values: numbers(5, [B, T]) }),
  startMemories: () => [],
  apply: ({ logits, values }) => ({ logits, values: reshape(values, [B, T]), memories: [], losses: {} }),
};

const options = { discount, lambda, clip: 0.3, valueWeight: 0.7, entropyWeight: 0.2 };
const draws = uniform(randomKey(6), [B, T]).toNumbers();
const batch: Concrete<RollOut> = {
  ...given,
  observations: numbers(7, [B, T, 1]),
  fresh: fromNumbers(new Array(B * T).fill(0), [B, T]),
  actions: fromNumbers(
    draws.map((x) => Math.floor(x * A)),
    [B, T],
    "int32",
  ),
  logProbabilities: fromNumbers(
    draws.map((x) => -0.5 - 2 * x),
    [B, T],
  ),
  memories: [],
};

/** The loss, number by number. */
function plainLoss(logits: readonly number[], values: readonly number[]): number {
  const advantages = plainAdvantages(given).flat();
  const mean = advantages.reduce((a, b) => a + b) / advantages.length;
  const deviation = Math.sqrt(advantages.reduce((sum, x) => sum + (x - mean) ** 2, 0) / advantages.length);
  const [actions, old, expected] = [batch.actions, batch.logProbabilities, given.values].map((x) => x.toNumbers());
  const each = advantages.map((advantage, i) => {
    const row = logits.slice(i * A, (i + 1) * A);
    const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
    const logs = row.map((x) => x - Math.log(total));
    const ratio = Math.exp(logs[actions![i]!]! - old![i]!);
    const weighed = (advantage - mean) / deviation;
    const clipped = Math.min(Math.max(ratio, 1 - options.clip), 1 + options.clip);
    const entropy = -logs.reduce((sum, x) => sum + Math.exp(x) * x, 0);
    const off = values[i]! - (expected![i]! + advantage);
    return (
      -Math.min(ratio * weighed, clipped * weighed) +
      (options.valueWeight * off * off) / 2 -
      options.entropyWeight * entropy
    );
  });
  return each.reduce((a, b) => a + b) / each.length;
}

test("the loss and its gradients are those of the formula", async () => {
  const params = table.init(randomKey(0)) as Concrete<Table>;
  const loss = ppoLoss(table, options);
  const found = (await evaluate(
    ((params: Table, batch: never) => {
      const { loss: value, gradients } = lossAndGradients(loss, 1, params, batch, {});
      return { value, gradient: gradients };
    }) as never,
    device,
    params as never,
    batch as never,
  )) as unknown as { value: NDArray; gradient: Concrete<Table> };
  const [logits, values] = [params.logits.toNumbers(), params.values.toNumbers()];
  expect(found.value.item()).toBeCloseTo(plainLoss(logits, values), 5);
  const slope = (x: readonly number[], i: number, of: (x: readonly number[]) => number) =>
    (of(x.with(i, x[i]! + 1e-4)) - of(x.with(i, x[i]! - 1e-4))) / 2e-4;
  found.gradient.logits.toNumbers().forEach(
    (x, i) =>
      void expect(x).toBeCloseTo(
        slope(logits, i, (own) => plainLoss(own, values)),
        5,
      ),
  );
  found.gradient.values.toNumbers().forEach(
    (x, i) =>
      void expect(x).toBeCloseTo(
        slope(values, i, (own) => plainLoss(logits, own)),
        5,
      ),
  );
});

test("shares that are none are refused", () => {
  expect(() => ppoLoss(table, { discount: 1.5 })).toThrow("ppo: discount must be from 0 to 1, got 1.5");
  expect(() => ppoLoss(table, { lambda: -1 })).toThrow("ppo: lambda must be from 0 to 1, got -1");
});
