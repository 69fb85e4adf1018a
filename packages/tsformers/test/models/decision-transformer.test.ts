import {
  compile,
  constant,
  cumsum,
  div,
  fromNumbers,
  isNdArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { type DecisionParams, decisionModel } from "../../src/models/agents/decision-model.ts";
import { decisionTransformer } from "../../src/models/agents/decision-transformer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import { deciding } from "../../src/objectives/deciding.ts";
import type { ActionSpace } from "../../src/rl/environment.ts";
import { slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [B, T, F, C] = [2, 3, 2, 4];
const real: ActionSpace = { kind: "continuous", width: 2, low: -1, high: 3 };
const choices: ActionSpace = { kind: "discrete", count: 3 };
const states = { mean: [0.5, -1], deviation: [2, 0.5] };

/** Numbers that are all different, of no special size. */
const some = (shape: readonly number[], seed: number): NDArray => normal(randomKey(seed), shape);
const input = (actions: ActionSpace) => ({
  returns: some([B, T], 1),
  states: some([B, T, F], 2),
  actions: actions.kind === "discrete" ? fromNumbers([0, 2, 1, 1, 1, 0], [B, T], "int32") : some([B, T, 2], 3),
  timesteps: fromNumbers([0, 1, 2, 5, 6, 7], [B, T], "int32"),
});

async function run<Result>(fn: unknown, ...args: unknown[]): Promise<Result> {
  const compiled = compile(fn as () => unknown, { device }) as unknown as ((...args: unknown[]) => Promise<never>) & {
    release(): Promise<void>;
  };
  try {
    return (await readTree(await compiled(...args))) as Result;
  } finally {
    await compiled.release();
  }
}

type Told = Record<"actions" | "states" | "returns", NDArray>;
const told =
  (model: { apply: (...args: never[]) => unknown }) =>
  (params: never, given: never): unknown => {
    const { actions, states, returns } = model.apply(params, given, evaluation as never) as Record<string, Tensor>;
    return { actions, states, returns };
  };

/** A body whose output at a position is the mean of what it has read so far: simple enough to be written down again below. */
const meansSoFar = {
  width: C,
  embeddingWidth: C,
  causal: true,
  layers: [],
  init: () => ({}),
  apply: (_: unknown, { vectors }: { vectors: Tensor }) => {
    const counts = fromNumbers(
      Array.from({ length: 3 * T }, (_, i) => i + 1),
      [1, 3 * T, 1],
    );
    return { x: div(cumsum(vectors, 1), counts), losses: {}, state: {} };
  },
} as unknown as TokenBody;

describe.each([
  ["real actions", real],
  ["choices", choices],
] as const)("%s", (_, actions) => {
  const options = { features: F, actions, longest: 9, states, returnScale: 10 };

  test("tokens, their order and what is told are those of the plain definition", async () => {
    const model = decisionModel("test", meansSoFar, options);
    const params = louder(model.init(randomKey(0)));
    const given = input(actions);
    const found = await run<Told>(told(model as never), params, given);
    const expected = plain(params as never, given, actions);
    for (const part of ["actions", "states", "returns"] as const)
      for (const [i, value] of found[part].toNumbers().entries()) expect(value).toBeCloseTo(expected[part][i]!, 4);
  });

  test("an action is told from what came before it, not from itself", async () => {
    const model = decisionTransformer({ ...options, layers: 2, modelWidth: 8, heads: 2 });
    const params = louder(model.init(randomKey(0)));
    const given = input(actions);
    const changed = given.actions
      .toNumbers()
      .map((value, i) => (i % (given.actions.size / B) >= given.actions.size / B / T ? (value + 1) % 3 : value));
    const other = { ...given, actions: fromNumbers(changed, given.actions.shape, given.actions.dtype) };
    const [a, b] = [
      await run<Told>(told(model as never), params, given),
      await run<Told>(told(model as never), params, other),
    ];
    const width = a.actions.shape[2]!;
    const row = (of: NDArray, t: number) => of.toNumbers().slice(t * width, (t + 1) * width);
    expect(row(a.actions, 0)).toEqual(row(b.actions, 0));
    expect(row(a.actions, 1)).toEqual(row(b.actions, 1)); // its own action differs, those before do not
    expect(row(a.actions, 2)).not.toEqual(row(b.actions, 2));
  });

  test("padding in front changes nothing", async () => {
    const model = decisionTransformer({ ...options, layers: 2, modelWidth: 8, heads: 2 });
    const params = louder(model.init(randomKey(0)));
    const given = { ...input(actions), mask: fromNumbers(Array<number>(B * T).fill(1), [B, T]) };
    const padded = Object.fromEntries(
      Object.entries(given).map(([name, array]) => [name, behindPadding(array, name === "mask" ? 0 : 1)]),
    );
    const [a, b] = [
      await run<Told>(told(model as never), params, given),
      await run<Told>(told(model as never), params, padded),
    ];
    const width = a.actions.shape[2]!;
    const of = b.actions.toNumbers();
    const real = Array.from({ length: B }, (_, row) =>
      of.slice((row * (T + 2) + 2) * width, (row + 1) * (T + 2) * width),
    ).flat();
    for (const [i, value] of a.actions.toNumbers().entries()) expect(real[i]).toBeCloseTo(value, 5);
  });

  test("the gradient of the loss is its slope", () => {
    const model = decisionTransformer({ ...options, layers: 1, modelWidth: 4, heads: 1 });
    const objective = deciding(model);
    const batch = { ...input(actions), mask: fromNumbers([0, 1, 1, 1, 1, 1], [B, T]) };
    const { byGradient, byDifference } = slopes(
      (params) =>
        objective.loss(params as never, mapTree(batch, isNdArray, (leaf) => constant(leaf)) as never, evaluation).total,
      model.init(randomKey(0)) as never,
    );
    expect(byGradient).toBeCloseTo(byDifference, 5);
    expect(Math.abs(byGradient)).toBeGreaterThan(1e-3);
  });
});

describe("what does not fit is one line", () => {
  const sizes = { features: F, actions: real, longest: 9, layers: 1, modelWidth: 4, heads: 1 };
  test.each([
    [{ features: 0 }, "decision-transformer: features must be a whole number of at least 1, got 0"],
    [{ actions: { ...real, low: 3 } }, "decision-transformer: actions.low must be below actions.high, got 3 and 3"],
    [{ returnScale: 0 }, "decision-transformer: returnScale must be a number above 0, got 0"],
    [{ states: { mean: [1], deviation: [1, 1] } }, "decision-transformer: states.mean must be 2 numbers, got [1]"],
    [
      { states: { mean: [1, 1], deviation: [1, -1] } },
      "decision-transformer: states.deviation must be at least 0, got [1,-1]",
    ],
  ])("%j", (wrong, message) => {
    expect(() => decisionTransformer({ ...sizes, ...wrong })).toThrow(message);
  });

  test("a body that sees both sides", () => {
    const { body } = bert({ vocabularySize: 1, layers: 1, modelWidth: 4, heads: 1, length: 9 });
    expect(() => decisionModel("test", body, sizes)).toThrow(
      "test: expected a causal body, since an action must not be told from itself",
    );
  });

  test("an input of another environment", async () => {
    const model = decisionTransformer(sizes);
    const given = { ...input(real), states: some([B, T, F + 1], 2) };
    await expect(run(told(model as never), model.init(randomKey(0)), given)).rejects.toThrow(
      "decision-transformer: expected states [2, 3, 2], got [2, 3, 3]",
    );
  });
});

function louder<P>(params: P): P {
  let seed = 100;
  return mapTree(params as never, isNdArray, (leaf: NDArray) => some(leaf.shape, seed++)) as P;
}

/** An array [B, T, …] with two steps of padding before each row, filled with a value. */
function behindPadding(array: NDArray, value: number): NDArray {
  const inner = array.size / (B * T);
  const numbers = array.toNumbers();
  const rows = Array.from({ length: B }, (_, b) => [
    ...Array<number>(2 * inner).fill(value),
    ...numbers.slice(b * T * inner, (b + 1) * T * inner),
  ]);
  return fromNumbers(rows.flat(), [B, T + 2, ...array.shape.slice(2)], array.dtype);
}

type Plain = Record<"actions" | "states" | "returns", number[]>;

/** The definition, number by number, over {@link meansSoFar}. */
function plain(params: DecisionParams, given: ReturnType<typeof input>, actions: ActionSpace): Plain {
  const matrix = ({ weight, bias }: { weight: unknown; bias?: unknown }, x: readonly number[]): number[] => {
    const { shape } = weight as NDArray;
    const [W, b] = [(weight as NDArray).toNumbers(), (bias as NDArray).toNumbers()];
    return b.map((own, j) => x.reduce((sum, value, i) => sum + value * W[i * shape[1]! + j]!, own));
  };
  const row = (array: unknown, i: number): number[] => (array as NDArray).toNumbers().slice(i * C, (i + 1) * C);
  const { embed, predict } = params;
  const [weight, bias] = [embed.norm.weight, embed.norm.bias].map((array) => (array as unknown as NDArray).toNumbers());
  const norm = (x: readonly number[]): number[] => {
    const mean = x.reduce((a, b) => a + b, 0) / C;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C;
    return x.map((value, c) => ((value - mean) / Math.sqrt(variance + 1e-5)) * weight![c]! + bias![c]!);
  };
  const numbers = Object.fromEntries(Object.entries(given).map(([name, array]) => [name, array.toNumbers()]));
  const out: Plain = { actions: [], states: [], returns: [] };
  for (let b = 0; b < B; b++) {
    const read: number[][] = [];
    const meanSoFar = () => Array.from({ length: C }, (_, c) => read.reduce((sum, x) => sum + x[c]!, 0) / read.length);
    for (let t = 0; t < T; t++) {
      const at = b * T + t;
      const step = row(embed.timesteps.weight, numbers.timesteps![at]!);
      const placed = (x: readonly number[]) => norm(x.map((value, c) => value + step[c]!));
      const state = [0, 1].map((f) => (numbers.states![at * F + f]! - states.mean[f]!) / states.deviation[f]!);
      read.push(placed(matrix(embed.returns, [numbers.returns![at]! / 10])));
      read.push(placed(matrix(embed.states, state)));
      const action = matrix(predict.actions, meanSoFar());
      out.actions.push(...(actions.kind === "discrete" ? action : action.map((value) => 1 + 2 * Math.tanh(value))));
      read.push(
        placed(
          actions.kind === "discrete"
            ? row(embed.actions.weight, numbers.actions![at]!)
            : matrix(embed.actions, numbers.actions!.slice(at * 2, at * 2 + 2)),
        ),
      );
      out.states.push(...matrix(predict.states, meanSoFar()));
      out.returns.push(...matrix(predict.returns, meanSoFar()));
    }
  }
  return out;
}
