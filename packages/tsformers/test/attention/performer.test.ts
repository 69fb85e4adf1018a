import {
  compile,
  evaluate,
  keyToArray,
  matmul,
  normal,
  randomKey,
  readTree,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { exactly } from "../../src/attention/kernel/denominator.ts";
import { type Drawn, draws } from "../../src/attention/kernel/drawn-features.ts";
import { hyperbolic, positive, type RandomFeatures, trigonometric } from "../../src/attention/kernel/favor-features.ts";
import { mapped } from "../../src/attention/kernel/feature-map.ts";
import { kernelAttention } from "../../src/attention/kernel/kernel-attention.ts";
import { performer } from "../../src/attention/kernel/performer.ts";
import {
  type Draw,
  equalLengths,
  gaussianLengths,
  gaussianRows,
  orthogonalRows,
} from "../../src/attention/kernel/random-rows.ts";

const device = await openCpu();
const [T, D] = [24, 8];
/** Short enough for the variance of the estimate not to hang on a few draws. */
const vectors = (seed: number) => normal(randomKey(seed), [1, 1, T, D], { deviation: 0.6 });
const [q, k, v] = [vectors(1), vectors(2), vectors(3)];

const estimate = (kernel: RandomFeatures, projection: Tensor, causal: boolean) => (q: Tensor, k: Tensor, v: Tensor) =>
  kernelAttention(mapped(kernel.map(projection), q, k), v, { causal, denominator: exactly }).mixed;
const attended = (q: Tensor, k: Tensor, v: Tensor) =>
  matmul(softmax(matmul(q, k, { transposeB: true, scale: D ** -0.5 })), v);

/** Mean square of what an estimate with `rows` drawn under each of some keys is off softmax attention. */
async function error(kernel: RandomFeatures, draw: Draw, rows: number): Promise<number> {
  const off = compile(
    (key: Tensor, q: Tensor, k: Tensor, v: Tensor) =>
      sum(square(sub(estimate(kernel, draw(key, [rows, D]), false)(q, k, v), attended(q, k, v)))),
    { device },
  );
  let total = 0;
  for (let seed = 0; seed < 40; seed++)
    total += (await (await off(keyToArray(randomKey(seed)), q, k, v)).read()).item();
  await off.release();
  return total / (40 * T * D);
}

describe("the estimate of softmax attention", () => {
  test("comes closer with more rows, and with orthogonal ones", async () => {
    const few = await error(positive(), gaussianRows, 16);
    expect(await error(positive(), gaussianRows, 256)).toBeLessThan(few / 4);
    expect(await error(positive(), orthogonalRows(), 16)).toBeLessThan(few);
    expect(await error(hyperbolic(), orthogonalRows(), 16)).toBeLessThan(few);
    expect(await error(trigonometric(), orthogonalRows(), 256)).toBeLessThan(few);
  });
});

describe("drawn rows", () => {
  test.each([
    [gaussianLengths, 20],
    [equalLengths, 20],
    [equalLengths, 5],
  ] as const)("are orthogonal in blocks, %#", async (lengths, count) => {
    const rows = await evaluate(
      (key: Tensor) => orthogonalRows(lengths)(key, [2, count, D]),
      device,
      keyToArray(randomKey(5)),
    );
    expect(rows.shape).toEqual([2, count, D]);
    const at = (which: number, i: number) =>
      rows.toNumbers().slice((which * count + i) * D, (which * count + i + 1) * D);
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    for (const which of [0, 1]) {
      for (let i = 0; i < count; i++) {
        if (lengths === equalLengths) expect(dot(at(which, i), at(which, i))).toBeCloseTo(D, 3);
        for (let j = 0; j < i; j++) {
          if (Math.floor(i / D) === Math.floor(j / D))
            expect(Math.abs(dot(at(which, i), at(which, j)))).toBeLessThan(1e-4);
        }
      }
    }
    expect(Math.abs(dot(at(0, 0), at(1, 0)))).toBeGreaterThan(1e-2);
  });

  test("are drawn anew on schedule, the same ones under the same key, and only in training", async () => {
    const schedule = draws(orthogonalRows(), [5, 4], { every: 3 });
    const step = compile((drawn: Drawn, key: Tensor) => schedule.pass(drawn, { key }).next, { device });
    const passes = async (count: number) => {
      let drawn = schedule.start(randomKey(6));
      const seen: number[][] = [];
      for (let pass = 0; pass < count; pass++) {
        drawn = await readTree(await step(drawn, keyToArray(randomKey(pass))));
        seen.push(drawn.matrix.toNumbers());
      }
      return seen;
    };
    const seen = await passes(7);
    expect(seen[0]).toEqual(schedule.start(randomKey(6)).matrix.toNumbers());
    expect(seen[2]).toEqual(seen[0]);
    expect(seen[3]).not.toEqual(seen[2]);
    expect(seen[5]).toEqual(seen[3]);
    expect(seen[6]).not.toEqual(seen[5]);
    expect(await passes(7)).toEqual(seen);
    const idle = await evaluate((drawn: Drawn) => schedule.pass(drawn, {}).next, device, schedule.start(randomKey(6)));
    expect(idle.step.item()).toBe(0);
  });

  test("of an evaluation are those of the training pass before it, also where the next one draws new ones", async () => {
    const schedule = draws(orthogonalRows(), [5, 4], { every: 2 });
    const run = compile(
      (drawn: Drawn, key: Tensor) => {
        const trained = schedule.pass(drawn, { key });
        return { ...trained, evaluated: schedule.pass(trained.next, {}).matrix };
      },
      { device },
    );
    let drawn = schedule.start(randomKey(6));
    for (let pass = 0; pass < 4; pass++) {
      const { matrix, evaluated, next } = await readTree(await run(drawn, keyToArray(randomKey(pass))));
      expect(evaluated.toNumbers()).toEqual(matrix.toNumbers());
      drawn = next;
    }
  });

  test("start as the key has it", () => {
    const start = (seed: number) => draws(orthogonalRows(), [20, D], {}).start(randomKey(seed)).matrix.toNumbers();
    expect(start(7)).toEqual(start(7));
    expect(start(8)).not.toEqual(start(7));
  });
});

test("numbers that make no sense", () => {
  const options = { modelWidth: 8, heads: 2, causal: true, features: 4 };
  expect(() => performer({ ...options, features: 0 })).toThrow(
    "performer: expected a positive number of features, got 0",
  );
  expect(() => performer({ ...options, redrawEvery: 0 })).toThrow(
    "draws: expected a positive number of passes between draws, got 0",
  );
});
