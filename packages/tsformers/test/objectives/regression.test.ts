import {
  compile,
  constant,
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
import { quantityBaseline } from "../../src/compare/quantity-baseline.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { setTransformer } from "../../src/models/encoders/set-transformer.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import { type RegressionOptions, regression, regressor } from "../../src/objectives/regression.ts";
import { maxRegressionTask } from "../../src/tasks/sets/max-regression.ts";
import type { QuantitiesBatch } from "../../src/tasks/task.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";
import { slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

async function run<T>(fn: unknown, ...args: unknown[]): Promise<T> {
  const compiled = compile(fn as () => unknown, { device }) as unknown as ((...args: unknown[]) => Promise<never>) & {
    release(): Promise<void>;
  };
  try {
    return (await readTree(await compiled(...args))) as T;
  } finally {
    await compiled.release();
  }
}

const length = 5;
const sizes = { vocabularySize: 1, layers: 1, modelWidth: 8, heads: 2 };
const numbers: RegressionOptions = { features: 3, error: { kind: "absolute", unit: 40 } };
const pictures: RegressionOptions = { features: 22 ** 2, side: 22, error: { kind: "poisson", most: 5 } };

/** Sets of 3 and 5 vectors in one batch, and a row that only fills it up. */
function batchOf({ features, error }: RegressionOptions): QuantitiesBatch {
  const mask = [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
  return {
    inputs: normal(randomKey(5), [3, length, features]),
    mask: fromNumbers(mask, [3, length]),
    quantities: fromNumbers(error.kind === "absolute" ? [11.5, -3, 0] : [2, 5, 0], [3]),
    weights: fromNumbers([1, 1, 0], [3]),
  };
}

/** The vectors of each set in another order, and the sets longer by padding whose values are not 0. */
function changed(batch: QuantitiesBatch, order: readonly number[], longer: number): QuantitiesBatch {
  const features = batch.inputs.shape[2]!;
  const [values, isReal] = [batch.inputs.toNumbers(), batch.mask.toNumbers()];
  const wide = length + longer;
  const places = Array.from({ length: 3 * wide }, (_, i) => [Math.floor(i / wide), i % wide] as const);
  const from = (b: number, t: number): number => (b * length + order[t]!) * features;
  return {
    ...batch,
    inputs: fromNumbers(
      places.flatMap(([b, t]) =>
        t < length ? values.slice(from(b, t), from(b, t) + features) : new Array<number>(features).fill(9),
      ),
      [3, wide, features],
    ),
    mask: fromNumbers(
      places.map(([b, t]) => (t < length ? isReal[b * length + order[t]!]! : 0)),
      [3, wide],
    ),
  };
}

describe.each([
  ["set-transformer", "numbers", setTransformer({ ...sizes, points: 2 }).body, numbers],
  ["set-transformer without inducing points", "pictures", setTransformer({ ...sizes, points: 0 }).body, pictures],
  ["bert without positions", "numbers", bert({ ...sizes, length, scheme: {} }).body, numbers],
  ["gpt", "pictures", gpt({ ...sizes, length: 9 }).body, pictures],
] as [string, string, TokenBody, RegressionOptions][])("%s on %s", (name, _, body, options) => {
  const objective = regression(body, options);
  const params = mapTree(objective.init(randomKey(3)), isNdArray, louder) as never;
  const batch = batchOf(options);
  const lossOf = async (rows: QuantitiesBatch): Promise<number> => {
    const { total, weight } = await run<Record<string, NDArray>>(
      (weights: never, batch: never) => {
        const { total, weight } = objective.loss(weights, batch, evaluation);
        return { total, weight };
      },
      params,
      rows,
    );
    return total!.item() / weight!.item();
  };
  const toldOf = async ({ inputs, mask }: QuantitiesBatch): Promise<number[]> => {
    const model = regressor(body, options);
    const { logits } = await run<Record<string, NDArray>>(
      (weights: never, vectors: Tensor, mask: Tensor) => ({
        logits: model.apply(weights, { vectors, mask }, evaluation).logits,
      }),
      params,
      inputs,
      mask,
    );
    expect(logits!.shape).toEqual([3, 1, 1]);
    return logits!.toNumbers();
  };

  test("its loss and its totals are those of their definition, in which rows that fill up count nothing", async () => {
    const told = await toldOf(batch);
    const asked = batch.quantities.toNumbers();
    const factorial = (k: number): number => (k < 2 ? 1 : k * factorial(k - 1));
    const losses = [0, 1].map((b) => {
      if (options.error.kind === "absolute") return Math.abs(options.error.unit * told[b]! - asked[b]!);
      const rate = Math.exp(told[b]!);
      return -Math.log((rate ** asked[b]! * Math.exp(-rate)) / factorial(asked[b]!));
    });
    expect(losses[0]).not.toBeCloseTo(losses[1]!, 2);
    expect(await lossOf(batch)).toBeCloseTo((losses[0]! + losses[1]!) / 2, 3);
    const { totals } = await run<{ totals: Record<string, NDArray> }>(
      (weights: never, batch: never) => objective.totals(weights, batch),
      params,
      batch,
    );
    const read = Object.fromEntries(Object.entries(totals).map(([key, value]) => [key, value.item()]));
    const right = [0, 1].filter((b) => Math.floor(Math.exp(told[b]!)) === asked[b]).length;
    expect(read).toEqual({
      lossSum: expect.closeTo(losses[0]! + losses[1]!, 3),
      tokens: 2,
      rows: 2,
      ...(options.error.kind === "poisson" && { correct: right, exactRows: right }),
    });
  });

  test("padding changes nothing; the order of a set only where a model is causal", async () => {
    const plain = await toldOf(batch);
    const close = (found: number[]) => {
      for (const b of [0, 1]) expect(found[b]).toBeCloseTo(plain[b]!, 4);
    };
    close(await toldOf(changed(batch, [0, 1, 2, 3, 4], 2)));
    const reversed = await toldOf(changed(batch, [4, 2, 0, 3, 1], 0));
    if (name === "gpt") expect(Math.abs(reversed[1]! - plain[1]!)).toBeGreaterThan(1e-3);
    else close(reversed);
  });

  test("gradients are those of central differences", () => {
    const { byGradient, byDifference } = slopes((weights: never) => {
      const constants = mapTree(batch, isNdArray, (array: NDArray) => constant(array));
      const { total } = objective.loss(weights, constants as never, evaluation);
      return total;
    }, params as never);
    expect(Math.abs(byGradient)).toBeGreaterThan(1e-2);
    expect(Math.abs(byGradient - byDifference)).toBeLessThan(1e-3 * Math.max(1, Math.abs(byDifference)));
  });
});

test("a small Set Transformer comes to tell the largest number, which one number for all does not", async () => {
  const task = maxRegressionTask({ length: 6 });
  const { quantity } = task.views.quantities;
  const trained = await train({
    objective: regression(setTransformer({ ...sizes, modelWidth: 16, points: 0, decoderLayers: 0 }).body, quantity),
    task,
    view: task.views.quantities,
    optimiser: adamw(),
    schedule: constantRate(5e-3),
    steps: 200,
    batchSize: 32,
    length: 6,
    device,
    evalTokens: 6 * 128,
  });
  const { lossSum, tokens } = trained.evaluation!.totals;
  const { metrics } = quantityBaseline({
    view: task.views.quantities,
    error: quantity.error,
    metrics: task.metrics,
    length: 6,
  });
  expect(tokens).toBe(128);
  expect(lossSum / tokens).toBeLessThan(metrics.loss! / 2);
});

test("one number for all is the median, or the mean of counts; its figures are those of their definition", () => {
  const rows = (quantities: readonly number[]): QuantitiesBatch => ({
    inputs: fromNumbers(new Array<number>(quantities.length).fill(0), [quantities.length, 1, 1]),
    mask: fromNumbers(new Array<number>(quantities.length).fill(1), [quantities.length, 1]),
    quantities: fromNumbers(quantities, [quantities.length]),
    weights: fromNumbers(
      quantities.map((_, b) => (b < 3 ? 1 : 0)),
      [quantities.length],
    ),
  });
  const view = { trainBatch: () => rows([1, 2, 6, 99]), evalBatches: () => [rows([3, 3, 1, 50])] };
  const loss = {
    name: "loss",
    label: "",
    better: "lower",
    value: ({ lossSum }: { lossSum: number }) => lossSum,
  } as const;
  const right = { name: "right", label: "", better: "higher", value: ({ correct = -1 }) => correct } as const;
  const about = { view, metrics: [loss, right], length: 1 };
  expect(quantityBaseline({ ...about, error: { kind: "absolute", unit: 1 } }).metrics).toEqual({ loss: 3, right: -1 });
  const { metrics } = quantityBaseline({ ...about, error: { kind: "poisson", most: 6 } });
  const expected = [3, 3, 1].map((k) => 3 - k * Math.log(3) + Math.log(k === 3 ? 6 : 1)).reduce((a, b) => a + b);
  expect(metrics).toEqual({ loss: expect.closeTo(expected, 9), right: 2 });
});
