import { compile, isNdArray, mapTree, type NDArray, randomKey, readTree } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { lastPosition } from "../../src/objectives/index.ts";
import { reconstruction, reconstructor } from "../../src/objectives/reconstruction.ts";
import { madCompressionTask } from "../../src/tasks/mad/compression.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [C, V] = [7, 6];
const length = 5;
const sizes = { vocabularySize: V, layers: 1, modelWidth: 8, heads: 2, length: 9 };
const task = madCompressionTask({ vocabulary: V, length, trainingRows: 50 });

async function run(fn: unknown, ...args: unknown[]): Promise<unknown> {
  const compiled = compile(fn as () => unknown, { device }) as unknown as ((...args: unknown[]) => Promise<never>) & {
    release(): Promise<void>;
  };
  try {
    return await readTree(await compiled(...args));
  } finally {
    await compiled.release();
  }
}

/** Rows of an array [..., width]. */
const vectors = (array: NDArray): number[][] => {
  const [flat, width] = [array.toNumbers(), array.shape.at(-1)!];
  return Array.from({ length: flat.length / width }, (_, row) => flat.slice(row * width, (row + 1) * width));
};

type Linear = { weight: NDArray; bias: NDArray };
const linear = ({ weight, bias }: Linear, x: readonly number[]) =>
  bias.toNumbers().map((b, j) => x.reduce((sum, value, i) => sum + value * vectors(weight)[i]![j]!, b));
const norm = ({ weight, bias }: Linear, x: readonly number[]) => {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const [gain, shift] = [weight.toNumbers(), bias.toNumbers()];
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i]! + shift[i]!);
};
/** x·Φ(x), with the normal distribution summed up in small steps. */
const gelu = (x: number) => {
  const [steps, width] = [2000, x / 2000];
  let area = 0;
  for (let i = 0; i < steps; i++) area += Math.exp(-(((i + 0.5) * width) ** 2) / 2) * width;
  return x * (0.5 + area / Math.sqrt(2 * Math.PI));
};

describe.each([
  ["gpt", gpt({ ...sizes, modelWidth: 8 })],
  ["bert", bert(sizes)],
  ["gpt of an odd width", gpt({ ...sizes, modelWidth: C, heads: 1 })],
] as const)("%s", (_, model) => {
  const whole = reconstructor(model.body);
  const params = mapTree(whole.init(randomKey(3)), isNdArray, louder) as never as Record<string, unknown>;
  const batch = task.views.reconstructed.trainBatch(1, 3);

  test("logits are those of the decoder, written out, of the state at the last position alone", async () => {
    const forward = (weights: never, tokens: never) => ({
      logits: whole.apply(weights, { tokens }, evaluation).logits,
      state: lastPosition(model.body.apply(weights, { tokens }, evaluation).x, undefined),
    });
    const { logits, state } = (await run(forward, params, batch.inputs)) as { logits: NDArray; state: NDArray };
    expect(logits.shape).toEqual([3, length, V]);
    const decoder = params.reconstruction as { norms: Linear[]; hidden: Linear[]; out: Linear };
    const [width] = [model.body.width];
    const expected = vectors(state).flatMap((x) =>
      Array.from({ length }, (_, t) => {
        const wave = (i: number) => {
          const angle = t / 10_000 ** ((2 * Math.floor(i / 2)) / width);
          if (i === width - 1 && width % 2 === 1) return 0;
          return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
        };
        let h = x.map((value, i) => value + wave(i));
        for (const layer of [0, 1]) h = linear(decoder.hidden[layer]!, norm(decoder.norms[layer]!, h)).map(gelu);
        return linear(decoder.out, norm(decoder.norms[2]!, h));
      }),
    );
    vectors(logits).forEach((row, i) => {
      row.forEach((value, v) => void expect(value).toBeCloseTo(expected[i]![v]!, 3));
    });
  });

  test("its loss is the mean of −log p(token) over all positions, and works at other lengths than that of training", async () => {
    const objective = reconstruction(model.body);
    for (const rows of [batch, task.views.reconstructed.trainBatch(1, 2, 9)]) {
      const fn = (weights: never, batch: never) => {
        const out = objective.loss(weights, batch, evaluation);
        return {
          total: out.total,
          weight: out.weight,
          logits: whole.apply(weights, { tokens: (batch as { inputs: never }).inputs }, evaluation).logits,
        };
      };
      const { total, weight, logits } = (await run(fn, params, rows)) as Record<string, NDArray>;
      const targets = rows.inputs.toNumbers();
      const losses = vectors(logits!).map((row, i) => {
        const sum = row.reduce((total, value) => total + Math.exp(value), 0);
        return Math.log(sum) - row[targets[i]!]!;
      });
      expect(weight!.item()).toBe(targets.length);
      expect(total!.item()).toBeCloseTo(
        losses.reduce((a, b) => a + b, 0),
        2,
      );
    }
  });
});

test("a small GPT learns a few rows by heart", async () => {
  const model = gpt({ ...sizes, modelWidth: 16, layers: 1 });
  const first = task.views.reconstructed.trainBatch(0, 8);
  const losses: number[] = [];
  const trained = await train({
    objective: reconstruction(model.body),
    task,
    view: { ...task.views.reconstructed, trainBatch: (): Batch => first },
    optimiser: adamw(),
    schedule: constantRate(1e-2),
    steps: 250,
    batchSize: 8,
    length,
    device,
    evalTokens: 40,
    onEvent: (event) => void (event.kind === "step" && losses.push(event.loss)),
  });
  expect(losses[0]!).toBeCloseTo(Math.log(V), 0);
  expect(losses.at(-1)!).toBeLessThan(0.1);
  expect(trained.evaluation!.totals.tokens).toBe(40);
});
