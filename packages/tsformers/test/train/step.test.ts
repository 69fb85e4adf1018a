import {
  add,
  type Compiled,
  type Concrete,
  cast,
  compile,
  type Device,
  foldIn,
  full,
  keyToArray,
  matmul,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dropout } from "../../src/nn/dropout.ts";
import type { LossFunction } from "../../src/objectives/objective.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { explainNonFinite, NonFiniteError } from "../../src/train/non-finite.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { sgd } from "../../src/train/optimisers/sgd.ts";
import { type StepOptions, trainStep } from "../../src/train/step.ts";

type Params = { w: Tensor; v: Tensor };
type Rows = { x: NDArray; y: NDArray; weights: NDArray };

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const start = (): Concrete<Params> => ({ w: normal(randomKey(2), [3, 4]), v: normal(randomKey(3), [4, 1]) });
const rows: Rows = {
  x: normal(randomKey(4), [8, 3]),
  y: normal(randomKey(5), [8, 1]),
  weights: ndarray([[1], [0], [2], [1], [1], [0.5], [0], [0]]),
};

const squaredError: LossFunction<Params, Rows> = ({ w, v }, { x, y, weights }) => {
  const error = sub(matmul(matmul(x, w), v), y);
  return { total: sum(mul(square(error), weights)), weight: sum(weights) };
};

const options = { loss: squaredError, optimiser: sgd({ momentum: 0 }) };

/** Runs updates and returns what every one of them left. */
async function run(
  settings: StepOptions<Params, Rows>,
  count: number,
  { batch = rows, learningRate = 0.02 }: { batch?: Rows; learningRate?: number } = {},
) {
  const step = trainStep(settings);
  const update = compile(step.update as never, { device, donate: [0] }) as unknown as Compiled<never[], never>;
  let state: unknown = step.init(start());
  const results = [];
  for (let i = 1; i <= count; i++) {
    const control = { learningRate: full([], learningRate), key: keyToArray(foldIn(randomKey(0), i)) };
    const next = (await update(...([state, batch, control] as never[]))) as unknown as { state: unknown };
    state = next.state;
    results.push(structuredCloneOf(await readTree(next)));
  }
  await update.release();
  return results;
}

type Result = {
  state: {
    params: { w: number[]; v: number[] };
    step: number[];
    average?: { w: number[]; v: number[] };
    lossScale?: { factor: number[]; good: number[] };
  };
  metrics: { loss: number[]; gradientNorm: number[] };
};

/** Plain numbers: the arrays themselves are written to again two steps later. */
function structuredCloneOf(tree: unknown): Result {
  const isArray = (value: object): value is NDArray => "toNumbers" in value;
  const walk = (node: unknown): unknown => {
    if (typeof node !== "object" || node === null) return node;
    if (isArray(node)) return node.toNumbers();
    return Object.fromEntries(Object.entries(node).map(([name, child]) => [name, walk(child)]));
  };
  return walk(tree) as Result;
}

/** Equal to so many digits: relative for numbers above 1, absolute below. */
function expectClose(a: readonly number[], b: readonly number[], digits = 5): void {
  expect(a).toHaveLength(b.length);
  a.forEach((value, i) => {
    const scale = Math.max(1, Math.abs(b[i]!));
    expect(value / scale).toBeCloseTo(b[i]! / scale, digits);
  });
}

/** Loss and gradient of w and v, written out in JavaScript. */
function byHand({ w, v }: Concrete<Params>) {
  const [W, V, X, Y, S] = [w, v, rows.x, rows.y, rows.weights].map((array) => array.toNumbers()) as number[][];
  const dW = W!.map(() => 0);
  const dV = V!.map(() => 0);
  const weight = S!.reduce((a, b) => a + b);
  let loss = 0;
  for (let r = 0; r < 8; r++) {
    const hidden = [0, 1, 2, 3].map((j) => [0, 1, 2].reduce((total, i) => total + X![r * 3 + i]! * W![i * 4 + j]!, 0));
    const error = hidden.reduce((total, h, j) => total + h * V![j]!, 0) - Y![r]!;
    loss += (S![r]! * error ** 2) / weight;
    const slope = (2 * S![r]! * error) / weight;
    for (let j = 0; j < 4; j++) {
      dV[j]! += slope * hidden[j]!;
      for (let i = 0; i < 3; i++) dW[i * 4 + j]! += slope * X![r * 3 + i]! * V![j]!;
    }
  }
  const norm = Math.sqrt([...dW, ...dV].reduce((total, g) => total + g * g, 0));
  return { loss, dW, dV, norm };
}

test("one update: loss, norm and parameters are those computed by hand", async () => {
  const [result] = await run(options, 1);
  const { loss, dW, norm } = byHand(start());
  expectClose(result!.metrics.loss, [loss]);
  expectClose(result!.metrics.gradientNorm, [norm]);
  expectClose(
    result!.state.params.w,
    start()
      .w.toNumbers()
      .map((w, i) => w - 0.02 * dW[i]!),
  );
  expect(result!.state.step).toEqual([1]);
});

test("clipping shortens the gradient to the norm and keeps its direction; small ones stay", async () => {
  const { dV, norm } = byHand(start());
  const [clipped] = await run({ ...options, clipNorm: norm / 4 }, 1);
  expectClose(clipped!.metrics.gradientNorm, [norm]);
  expectClose(
    clipped!.state.params.v,
    start()
      .v.toNumbers()
      .map((v, i) => v - (0.02 * dV[i]!) / 4),
  );
  const [[whole], [untouched]] = [await run({ ...options, clipNorm: 2 * norm }, 1), await run(options, 1)];
  expect(whole!.state.params).toEqual(untouched!.state.params);
});

test("micro-batches change nothing but rounding, though their weights differ", async () => {
  const adaptive = { loss: squaredError, optimiser: adamw(), clipNorm: 0.5 };
  const whole = await run(adaptive, 4);
  for (const microBatches of [2, 4, 8]) {
    const parts = await run({ ...adaptive, microBatches }, 4);
    parts.forEach((result, i) => {
      expectClose(result.metrics.loss, whole[i]!.metrics.loss);
      expectClose(result.metrics.gradientNorm, whole[i]!.metrics.gradientNorm);
      // AdamW divides by √v: rounding of small gradients shows a little more
      expectClose(result.state.params.w, whole[i]!.state.params.w, 4);
    });
  }
});

test("rows that do not divide into micro-batches are refused", async () => {
  await expect(run({ ...options, microBatches: 3 }, 1)).rejects.toThrow(
    "microBatches: the leading axis of x float32[8, 3] does not divide into 3 parts",
  );
  expect(() => trainStep({ ...options, microBatches: 0 })).toThrow("microBatches must be an integer ≥ 1, got 0");
});

test("micro-batches drop differently, and steps do", async () => {
  const noisy: LossFunction<Params, Rows> = ({ w }, { x }, context) => {
    const kept = dropout(mul(x, 0), 0.5, context, "test");
    const mask = dropout(sub(kept, -1), 0.5, context, "mask");
    return { total: sum(mul(sum(w), sum(mask, { axes: -1 }))), weight: sum(sub(kept, -1)) };
  };
  const same = { ...rows, x: full([8, 3], 1) };
  const losses = (await run({ ...options, loss: noisy }, 3, { batch: same })).map(({ metrics }) => metrics.loss[0]);
  expect(new Set(losses).size).toBe(3);
  const again = (await run({ ...options, loss: noisy }, 3, { batch: same })).map(({ metrics }) => metrics.loss[0]);
  expect(again).toEqual(losses);
});

test("a batch without weight has loss 0 and moves nothing", async () => {
  const [result] = await run({ ...options, microBatches: 2 }, 1, { batch: { ...rows, weights: full([8, 1], 0) } });
  expect(result!.metrics.loss).toEqual([0]);
  expect(result!.state.params.w).toEqual(start().w.toNumbers());
});

test("the average follows the parameters: quickly at first, then by its decay", async () => {
  const results = await run({ ...options, averageDecay: 0.3 }, 4);
  let average = start().v.toNumbers();
  results.forEach(({ state }, i) => {
    const decay = Math.min(0.3, (i + 2) / (i + 11));
    average = average.map((a, j) => decay * a + (1 - decay) * state.params.v[j]!);
    expectClose(state.average!.v, average);
  });
});

test("float16 with a scaled loss trains about as float32 does", async () => {
  const plain = await run(options, 3);
  const half = await run({ ...options, loss: halved, float16: lossScale({ initial: 256 }) }, 3);
  half.forEach(({ metrics, state }, i) => {
    // float16 has 11 bits
    expectClose(metrics.loss, plain[i]!.metrics.loss, 1);
    expectClose(state.params.w, plain[i]!.state.params.w, 1);
  });
});

test("an overflow skips the update and halves the factor; good updates double it", async () => {
  // The CPU computes float16 in float32. There, gradients of 10^13 times a factor of 2^20 overflow when they are squared for the norm.
  const steep: LossFunction<Params, Rows> = (...inputs) => {
    const { total, weight } = halved(...inputs);
    return { total: mul(total, 1e12), weight };
  };
  const float16 = lossScale({ initial: 2 ** 20, growEvery: 3 });
  const results = await run({ ...options, loss: steep, float16 }, 12, { learningRate: 0.02e-12 });
  const [first] = results;
  expect(Number.isFinite(first!.metrics.gradientNorm[0])).toBe(false);
  expect(Number.isFinite(first!.metrics.loss[0])).toBe(true);
  expect(first!.state.params.w).toEqual(start().w.toNumbers());
  expect(first!.state.step).toEqual([0]);
  let [factor, good, made] = [2 ** 20, 0, 0];
  for (const { state, metrics } of results) {
    const finite = Number.isFinite(metrics.gradientNorm[0]);
    good = finite ? good + 1 : 0;
    made += finite ? 1 : 0;
    if (!finite) factor /= 2;
    if (good === 3) [factor, good] = [factor * 2, 0];
    expect(state.lossScale).toEqual({ factor: [factor], good: [good] });
    expect(state.step).toEqual([made]);
  }
  expect(made).toBeGreaterThan(3);
  expect(made).toBeLessThan(11);
  expect(results.at(-1)!.metrics.loss[0]).toBeLessThan(first!.metrics.loss[0]!);
});

/** The loss with its batch in the dtype of the parameters. */
const halved: LossFunction<Params, Rows> = ({ w, v }, { x, y, weights }) => {
  const error = cast(sub(matmul(matmul(cast(x, w.dtype), w), v), cast(y, w.dtype)), "float32");
  return { total: sum(mul(square(error), weights)), weight: sum(weights) };
};

test("what stopped being finite is named", async () => {
  const explain = async (loss: LossFunction<Params, Rows>, params: Concrete<Params>) => {
    const step = trainStep({ ...options, loss });
    const control = { learningRate: full([], 0.1), key: keyToArray(randomKey(0)) };
    return explainNonFinite(12, step, device, step.init(params) as never, rows as never, control as never);
  };
  const infinite = { ...start(), w: full([3, 4], Number.POSITIVE_INFINITY) };
  const error = await explain(squaredError, infinite);
  expect(error).toBeInstanceOf(NonFiniteError);
  expect(error.message).toMatch(
    /^step 12: the loss is (NaN|Infinity); already before the step the parameter w was not$/,
  );
  const rootOfNothing: LossFunction<Params, Rows> = ({ w, v }, batch, context) => {
    const { total, weight } = squaredError({ w, v }, batch, context);
    return { total: add(total, sum(sqrt(mul(v, 0)))), weight };
  };
  expect((await explain(rootOfNothing, start())).message).toBe(
    "step 12: the gradients are not finite; first non-finite gradient: v",
  );
});
