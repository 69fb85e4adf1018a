import {
  type Concrete,
  concat,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  randomKey,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import { lastPosition, meanOfPositions, type Pooling } from "../../src/objectives/index.ts";
import { combinedHead, matcher, matching } from "../../src/objectives/matching.ts";
import type { Symbolic } from "../../src/objectives/objective.ts";
import type { MatchedBatch } from "../../src/tasks/task.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { vocabularySize: 9, layers: 2, modelWidth: 15, heads: 3, length: 9 };
const classes = 3;
const int = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
const float = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length]);

/** Two pairs, the rows of which have so much padding behind them, and a third that does not count. */
function batchOf(padding: number, filler: number): MatchedBatch {
  const row = (tokens: number[]) => [...tokens, ...new Array<number>(padding).fill(filler)];
  const mask = (count: number) => Array.from({ length: 5 + padding }, (_, t) => (t < count ? 1 : 0));
  return {
    inputs: int([row([3, 1, 4, 1, 5]), row([2, 7, 1, 8, 2]), row([0, 0, 0, 0, 0])]),
    mask: float([mask(5), mask(3), mask(0)]),
    others: int([row([1, 4, 1, 4, 2]), row([5, 7, 7, 2, 1]), row([0, 0, 0, 0, 0])]),
    othersMask: float([mask(4), mask(5), mask(0)]),
    labels: fromNumbers([2, 0, 0], [3], "int32"),
    weights: fromNumbers([0.5, 2, 0], [3]),
  };
}

const numbers = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());
function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
  });
}

const bodies: readonly (readonly [string, TokenBody, Pooling])[] = [
  ["bert", bert(sizes).body, meanOfPositions],
  ["gpt", gpt(sizes).body, lastPosition],
];

describe.each(bodies)("on %s", (_, body, pooling) => {
  const objective = matching(body, { classes });
  type Params = Parameters<typeof objective.loss>[0];
  const params = mapTree(objective.init(randomKey(5)), isNdArray, louder) as Concrete<Params>;
  const totals = (params: Params, batch: Symbolic<MatchedBatch>) => objective.totals(params, batch).totals;

  test("the loss is that of each row read alone, combined by the definition", async () => {
    const batch = batchOf(2, 0);
    const vectorOf = (params: Params, tokens: Tensor, mask: Tensor) =>
      pooling(body.apply(params as never, { tokens, mask }, {}).x, mask);
    const logits = (params: Params, batch: Symbolic<MatchedBatch>) => {
      const [a, b] = [vectorOf(params, batch.inputs, batch.mask), vectorOf(params, batch.others, batch.othersMask)];
      const { matchHead } = params as { matchHead: unknown };
      return combinedHead(15, classes).apply(matchHead as never, concat([a, b, mul(a, b), sub(a, b)], 1), {});
    };
    const found = (await evaluate(logits, device, params, batch)).toNumbers();
    const losses = [2, 0].map((label, row) => {
      const own = found.slice(row * classes, (row + 1) * classes);
      return Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0)) - own[label]!;
    });
    const both = (params: Params, batch: Symbolic<MatchedBatch>) => objective.loss(params, batch, {});
    const { total, weight } = (await evaluate(both, device, params, batch)) as { total: NDArray; weight: NDArray };
    expect(weight.item()).toBeCloseTo(2.5, 6);
    expect(total.item()).toBeCloseTo(0.5 * losses[0]! + 2 * losses[1]!, 4);
    const right = [2, 0].map((label, row) => {
      const own = found.slice(row * classes, (row + 1) * classes);
      return own[label] === Math.max(...own) ? 1 : 0;
    });
    const measured = await evaluate(totals, device, params, batch);
    expect(measured.correct!.item()).toBe(right[0]! + right[1]!);
    expect(measured.rows.item()).toBe(2);
  });

  test("padding changes neither totals nor gradients, and every parameter learns", async () => {
    const slopes = (params: Params, batch: Symbolic<MatchedBatch>) =>
      grad((of: Params) => objective.loss(of, batch, {}).total)(params);
    const expected = await evaluate(slopes, device, params, batchOf(0, 0));
    const { leaves, paths } = flatten(expected, isNdArray);
    expect(paths.filter((_, i) => leaves[i]!.toNumbers().every((value) => value === 0))).toEqual([]);
    for (const batch of [batchOf(4, 0), batchOf(4, 6)]) {
      expectClose(
        numbers(await evaluate(totals, device, params, batch)),
        numbers(await evaluate(totals, device, params, batchOf(0, 0))),
      );
      expectClose(numbers(await evaluate(slopes, device, params, batch)), numbers(expected));
    }
  });

  test("its model gives the vector of each row", async () => {
    const model = matcher(body, { classes });
    const { inputs, mask } = batchOf(1, 3);
    const apply = (params: Params, tokens: Tensor, mask: Tensor) =>
      model.apply(params as never, { tokens, mask }, {}).logits;
    const plain = (params: Params, tokens: Tensor, mask: Tensor) =>
      pooling(body.apply(params as never, { tokens, mask }, {}).x, mask);
    const found = await evaluate(apply, device, params, inputs, mask);
    expect(found.shape).toEqual([3, 1, 15]);
    expectClose(found.toNumbers(), (await evaluate(plain, device, params, inputs, mask)).toNumbers());
  });
});
