import {
  compile,
  fromNumbers,
  isNdArray,
  mapTree,
  type NDArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { pointBaselines } from "../../src/compare/point-baselines.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import { mixtureLogDensities, mixturesOf } from "../../src/nn/gaussian-mixture.ts";
import { clusterer, clustering } from "../../src/objectives/clustering.ts";
import { logDensity } from "../../src/tasks/gaussian-mixture.ts";
import { rowsOfPoints } from "../../src/tasks/point-rows.ts";
import { mixtureTask } from "../../src/tasks/sets/mixture.ts";
import type { PointsBatch } from "../../src/tasks/task.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";
import { slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [K, D, length] = [3, 2, 9];
const task = mixtureTask({ components: K, length });
const { points: view } = task.views;
const sizes = { vocabularySize: 1, layers: 1, modelWidth: 16, heads: 2, length };
const options = { components: K, features: D };

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

/** The mixture that a row of K·(1 + 2·D) numbers stands for, in float64. */
const mixtureOf = (raw: readonly number[]) => {
  const logits = raw.slice(0, K);
  const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
  return logits.map((logit, k) => ({
    logWeight: logit - total,
    mean: raw.slice(K + k * D, K + (k + 1) * D),
    deviation: raw.slice(K + K * D + k * D, K + K * D + (k + 1) * D).map((s) => Math.sqrt(Math.exp(s) + 1e-4)),
  }));
};

/** The points of each row in another order, and the row longer by padding whose values are not 0. */
const changed = ({ inputs, mask, ...rest }: PointsBatch, order: (t: number) => number, longer: number): PointsBatch => {
  const [rows] = inputs.shape as [number];
  const [points, isReal] = [inputs.toNumbers(), mask.toNumbers()];
  const wide = length + longer;
  const places = Array.from({ length: rows * wide }, (_, i) => [Math.floor(i / wide), i % wide] as const);
  return {
    ...rest,
    inputs: fromNumbers(
      places.flatMap(([b, t]) =>
        t < length ? points.slice((b * length + order(t)) * D, (b * length + order(t) + 1) * D) : [7, -7],
      ),
      [rows, wide, D],
    ),
    mask: fromNumbers(
      places.map(([b, t]) => (t < length ? isReal[b * length + order(t)]! : 0)),
      [rows, wide],
    ),
  };
};

const louderNoise = (array: NDArray, path: string): NDArray =>
  path.startsWith("mixtureHead") ? array : louder(array, path);

test("mixtures and densities are those of their definition, and so are gradients; extremes stay finite", async () => {
  const raw = Array.from({ length: 2 * K * (1 + 2 * D) }, (_, i) => Math.sin(3 * i) * 1.5);
  const points = Array.from({ length: 2 * 4 * D }, (_, i) => Math.cos(5 * i) * 3);
  const densities = (raw: Tensor, points: Tensor) => [mixtureLogDensities(mixturesOf(raw, options), points)];
  const [found] = await run<NDArray[]>(
    densities,
    fromNumbers(raw, [2, raw.length / 2]),
    fromNumbers(points, [2, 4, D]),
  );
  found!.toNumbers().forEach((value, i) => {
    const [b, at] = [Math.floor(i / 4), points.slice(i * D, (i + 1) * D)];
    expect(value).toBeCloseTo(
      logDensity(mixtureOf(raw.slice((b * raw.length) / 2, ((b + 1) * raw.length) / 2)), at),
      4,
    );
  });
  // A component without spread on the point itself, another far away.
  const extreme = [0, 50, -50, ...[3, 3, 1e3, 1e3, 0, 0], ...[-60, -60, 40, 40, 0, 0]];
  const [at] = await run<NDArray[]>(
    densities,
    fromNumbers(extreme, [1, extreme.length]),
    fromNumbers([3, 3, -900, 0], [1, 2, D]),
  );
  expect(at!.toNumbers().every(Number.isFinite)).toBe(true);
});

describe.each([
  ["bert", bert({ ...sizes, scheme: {} }).body],
  ["gpt", gpt({ ...sizes, length: 20 }).body],
] as [string, TokenBody][])("%s", (name, body) => {
  const objective = clustering(body, options);
  const params = mapTree(objective.init(randomKey(3)), isNdArray, louderNoise) as never;
  const batch = view.trainBatch(1, 4);
  const lossOf = async (rows: PointsBatch): Promise<number> => {
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

  test("its loss is the mean over rows of minus the log-likelihood per point", async () => {
    const model = clusterer(body, options);
    const { logits } = await run<Record<string, NDArray>>(
      (weights: never, vectors: Tensor, mask: Tensor) => ({
        logits: model.apply(weights, { vectors, mask }, evaluation).logits,
      }),
      params,
      batch.inputs,
      batch.mask,
    );
    const numbers = K * (1 + 2 * D);
    expect(logits!.shape).toEqual([4, 1, numbers]);
    const losses = rowsOfPoints(batch).map(({ points }, b) => {
      const mixture = mixtureOf(logits!.toNumbers().slice(b * numbers, (b + 1) * numbers));
      return -points.reduce((sum, point) => sum + logDensity(mixture, point), 0) / points.length;
    });
    expect(new Set(losses.map((loss) => loss.toFixed(2))).size).toBeGreaterThan(1);
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / 4;
    expect(await lossOf(batch)).toBeCloseTo(mean, 4);
    const totals = await run<{ totals: Record<string, NDArray> }>(
      (weights: never, batch: never) => objective.totals(weights, batch),
      params,
      batch,
    );
    const read = Object.fromEntries(Object.entries(totals.totals).map(([key, value]) => [key, value.item()]));
    expect(read).toEqual({ lossSum: expect.closeTo(4 * mean, 3), tokens: 4, rows: 4 });
  });

  test("padding changes nothing; order only where positions or causality tell it", async () => {
    const plain = await lossOf(batch);
    expect(await lossOf(changed(batch, (t) => t, 5))).toBeCloseTo(plain, 4);
    const reversed = await lossOf(changed(batch, (t) => length - 1 - t, 0));
    if (name === "bert") expect(reversed).toBeCloseTo(plain, 4);
    else expect(Math.abs(reversed - plain)).toBeGreaterThan(1e-3);
  });

  test("rows that only fill up a batch count nothing", async () => {
    const [last] = view.evalBatches("test", { batchSize: 4, length, limit: 3 });
    expect(last!.weights.toNumbers()).toEqual([1, 1, 1, 0]);
    const three = Object.fromEntries(
      Object.entries(last!).map(([key, array]) => {
        const kept = array.toNumbers().slice(0, (array.size / 4) * 3);
        return [key, fromNumbers(kept, [3, ...array.shape.slice(1)])];
      }),
    ) as unknown as PointsBatch;
    expect(await lossOf(last!)).toBeCloseTo(await lossOf(three), 4);
  });

  test("gradients are those of central differences", () => {
    const few = { ...view.trainBatch(2, 2) };
    const constants = mapTree(few, isNdArray, (array: NDArray) => array);
    const { byGradient, byDifference } = slopes((weights: never) => {
      const { total } = objective.loss(weights, constants as never, evaluation);
      return total;
    }, params as never);
    expect(Math.abs(byGradient)).toBeGreaterThan(1e-2);
    expect(Math.abs(byGradient - byDifference)).toBeLessThan(1e-4 * Math.max(1, Math.abs(byDifference)));
  });
});

test("components begin at different means", () => {
  const { mixtureHead } = clustering(bert(sizes).body, options).init(randomKey(1)) as never as {
    mixtureHead: { out: { bias: NDArray } };
  };
  const bias = mixtureHead.out.bias.toNumbers();
  expect(new Set(bias.slice(K, K + K * D)).size).toBe(K * D);
  expect([...bias.slice(0, K), ...bias.slice(K + K * D)].every((value) => value === 0)).toBe(true);
});

test("a small encoder comes to tell mixtures, which one answer for all rows does not", async () => {
  const small = mixtureTask({ length: 24 });
  const body = bert({ ...sizes, modelWidth: 32, scheme: {} }).body;
  const trained = await train({
    objective: clustering(body, { components: 4, features: 2 }),
    task: small,
    view: small.views.points,
    optimiser: adamw(),
    schedule: constantRate(4e-3),
    steps: 250,
    batchSize: 32,
    length: 24,
    device,
    evalTokens: 24 * 128,
  });
  const { lossSum, tokens } = trained.evaluation!.totals;
  const [fixed, oracle] = pointBaselines({
    view: small.views.points,
    components: 4,
    metrics: small.metrics,
    length: 24,
    limit: 128,
  });
  expect(tokens).toBe(128);
  expect(lossSum / tokens).toBeLessThan(fixed!.metrics.loss! - 0.5);
  expect(lossSum / tokens).toBeGreaterThan(oracle!.metrics.loss!);
});
