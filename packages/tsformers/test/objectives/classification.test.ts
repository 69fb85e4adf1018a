import {
  type Concrete,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import {
  classification,
  firstPosition,
  lastPosition,
  meanOfPositions,
  type Pooling,
} from "../../src/objectives/index.ts";
import type { Symbolic } from "../../src/objectives/objective.ts";
import type { LabelledBatch } from "../../src/tasks/task.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const poolings: Readonly<Record<string, Pooling>> = { firstPosition, meanOfPositions, lastPosition };
const sizes = { vocabularySize: 9, layers: 2, modelWidth: 16, heads: 2, length: 12 };
const bodies: Readonly<Record<string, TokenBody>> = { bert: bert(sizes).body, gpt: gpt(sizes).body };
const classes = 3;

const int = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
const float = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length]);
const row = [3, 1, 4, 1, 5, 8, 2];

/** One row with so much padding behind it, and another without. */
function batchOf(padding: number, filler: number, weights: readonly number[] = [1, 1]): LabelledBatch {
  const behind = (value: number) => new Array<number>(padding).fill(value);
  const other = [...row, ...behind(7)].map((token) => (token + 1) % 9);
  return {
    inputs: int([[...row, ...behind(filler)], other]),
    mask: float([[...row.map(() => 1), ...behind(0)], other.map(() => 1)]),
    labels: fromNumbers([2, 0], [2], "int32"),
    weights: fromNumbers([...weights], [2]),
  };
}

const numbers = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  const worst = found.reduce((worst, x, i) => Math.max(worst, Math.abs(x - expected[i]!)), 0);
  expect(worst).toBeLessThan(1e-5);
}

describe.each(Object.entries(poolings))("%s", (name, pooling) => {
  const x = normal(randomKey(1), [2, 5, 3]);
  const pooled = (mask: number[][] | undefined) =>
    evaluate((x: Tensor, mask: Tensor | undefined) => pooling(x, mask), device, x, mask && float(mask));
  const at = (b: number, t: number) => x.toNumbers().slice((b * 5 + t) * 3, (b * 5 + t + 1) * 3);
  const mean = (rows: number[][]) => [0, 1, 2].map((c) => rows.reduce((sum, row) => sum + row[c]!, 0) / rows.length);

  test("is its definition, with padding behind, before and between", async () => {
    const masks = [
      [1, 1, 1, 0, 0],
      [1, 0, 1, 1, 0],
    ];
    const expected = {
      firstPosition: [at(0, 0), at(1, 0)],
      meanOfPositions: [mean([at(0, 0), at(0, 1), at(0, 2)]), mean([at(1, 0), at(1, 2), at(1, 3)])],
      lastPosition: [at(0, 2), at(1, 3)],
    }[name]!;
    expectClose((await pooled(masks)).toNumbers(), expected.flat());
  });

  test("without a mask all positions are real", async () => {
    const ones = [0, 1].map(() => [1, 1, 1, 1, 1]);
    expectClose((await pooled(undefined)).toNumbers(), (await pooled(ones)).toNumbers());
  });

  test("a row of padding alone is finite", async () => {
    const found = await pooled([0, 1].map(() => [0, 0, 0, 0, 0]));
    expect(found.toNumbers().every(Number.isFinite)).toBe(true);
  });

  describe.each(Object.entries(bodies))("on %s", (_, body) => {
    const objective = classification(body, { classes, pooling });
    type Params = Parameters<typeof objective.loss>[0];
    // Initial weights of 0.02 would let everything look alike.
    const params = mapTree(objective.init(randomKey(5)), isNdArray, louder) as Concrete<Params>;
    const totals = (params: Params, batch: Symbolic<LabelledBatch>) => objective.totals(params, batch).totals;
    const slopes = (params: Params, batch: Symbolic<LabelledBatch>) =>
      grad((of: Params) => objective.loss(of, batch, {}).total)(params);

    test("padding changes neither totals nor gradients", async () => {
      // Only the first row counts: the other one has more tokens where there is more room.
      const [alone, padded, filled] = [batchOf(0, 0, [1, 0]), batchOf(4, 0, [1, 0]), batchOf(4, 6, [1, 0])];
      const expected = numbers(await evaluate(totals, device, params, alone));
      for (const batch of [padded, filled])
        expectClose(numbers(await evaluate(totals, device, params, batch)), expected);
      // The tokens and positions of the padding are looked up, and teach nothing.
      const taught = numbers(await evaluate(slopes, device, params, alone));
      for (const batch of [padded, filled]) expectClose(numbers(await evaluate(slopes, device, params, batch)), taught);
    });

    test("every parameter of the body and of the head learns", async () => {
      const found = await evaluate(slopes, device, params, batchOf(3, 0));
      const { leaves, paths } = flatten(found, isNdArray);
      expect(leaves.every((leaf) => leaf.toNumbers().every(Number.isFinite))).toBe(true);
      expect(paths.filter((_, i) => leaves[i]!.toNumbers().every((value) => value === 0))).toEqual([]);
      expect(paths).toContain("classHead.weight");
    });

    test("the loss is the weighted mean of −log p(class)", async () => {
      const batch = batchOf(2, 0, [0.5, 2]);
      const both = (params: Params, batch: Symbolic<LabelledBatch>) => objective.loss(params, batch, {});
      const { total, weight } = (await evaluate(both, device, params, batch)) as { total: NDArray; weight: NDArray };
      expect(weight.item()).toBeCloseTo(2.5, 5);
      const each = [batchOf(2, 0, [1, 0]), batchOf(2, 0, [0, 1])];
      const [a, b] = [
        await evaluate(totals, device, params, each[0]!),
        await evaluate(totals, device, params, each[1]!),
      ];
      expect(total.item()).toBeCloseTo(0.5 * a.lossSum.item() + 2 * b.lossSum.item(), 4);
      expect([a.tokens.item(), a.rows.item()]).toEqual([1, 1]);
    });
  });
});

test("a model that sees both sides is read by its mean, a causal one at the last position", async () => {
  for (const [name, usual] of [
    ["bert", meanOfPositions],
    ["gpt", lastPosition],
  ] as const) {
    const [implied, stated] = [{ classes }, { classes, pooling: usual }].map((options) =>
      classification(bodies[name]!, options),
    );
    const params = mapTree(implied!.init(randomKey(5)), isNdArray, louder);
    const run = (objective: typeof implied) =>
      evaluate(
        (params: never, batch: Symbolic<LabelledBatch>) => objective!.totals(params, batch).totals,
        device,
        params as never,
        batchOf(3, 0),
      );
    expect(numbers(await run(implied))).toEqual(numbers(await run(stated)));
  }
});

test("dropout of the class vector drops in training only", async () => {
  const objective = classification(bodies.bert!, { classes, dropoutRate: 0.5 });
  const params = objective.init(randomKey(5)) as never;
  const loss = (params: never, batch: Symbolic<LabelledBatch>, key: Tensor | undefined) =>
    objective.loss(params, batch, key === undefined ? {} : { key }).total;
  const run = async (seed?: number) =>
    (
      (await evaluate(
        loss as never,
        device,
        params,
        batchOf(0, 0) as never,
        (seed === undefined ? undefined : keyToArray(randomKey(seed))) as never,
      )) as unknown as NDArray
    ).item();
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
  expect(await run()).toBe(await run());
});
