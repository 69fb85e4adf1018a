import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flatten, fromNumbers, NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { mixers } from "../../src/catalogue/mixers.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { readMetrics } from "../../src/train/metrics.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { warmupCosine } from "../../src/train/schedules/index.ts";
import { stackTrees, stepsPerRun } from "../../src/train/steps-per-run.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";

const device = await openCpu();
const directory = mkdtempSync(join(tmpdir(), "steps-per-run-"));
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await device.close();
});

const task = copyTask({ symbols: 3, length: 8 });
const vocabularySize = task.vocabularySize;
const sizes = { modelWidth: 16, heads: 2, length: 8 };

/** A run of 11 steps that evaluates every 5. */
const options = (more: Partial<TrainOptions<never, never>>): TrainOptions<never, never> => ({
  objective: tokenObjective(gpt({ vocabularySize, layers: 1, ...sizes, dropoutRate: 0.1 })) as never,
  task,
  view: task.views.next as never,
  optimiser: adamw(),
  schedule: warmupCosine({ peak: 3e-3, warmupSteps: 4, totalSteps: 11 }),
  steps: 11,
  batchSize: 4,
  length: 8,
  device,
  evalEvery: 5,
  evalTokens: 64,
  ...more,
});

function bytesOf(tree: unknown): Buffer {
  const { leaves } = flatten(tree, (value): value is NDArray => value instanceof NDArray);
  return Buffer.concat(leaves.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
}

const withoutTimes = (records: readonly Record<string, unknown>[]) =>
  records.map(({ time: _time, tokensPerSecond: _speed, ...rest }) => rest);

describe("several steps in one run give the same bytes, losses and evaluations as one by one", () => {
  const mixer = mixers.routing.make({ centroids: 2, window: 4 }, { ...sizes, causal: true });
  const text = textTask({ text: "The quick brown fox. ".repeat(40), tokenizer: characterTokenizer, length: 8 });
  const cases: Record<string, Partial<TrainOptions<never, never>>> = {
    "with dropout, clipping, micro-batches and a moving average": { averageDecay: 0.9, clipNorm: 1, microBatches: 2 },
    "in float16 with a scaled loss": { float16: lossScale({ initial: 2 ** 40, growEvery: 4 }) },
    "with a state beside the parameters": {
      objective: tokenObjective(gpt({ vocabularySize, layers: 1, ...sizes, mixer: () => mixer })) as never,
    },
    "with memories": {
      task: text,
      view: text.views.segments as never,
      objective: tokenObjective(
        transformerXl({ vocabularySize: text.vocabularySize, layers: 1, modelWidth: 16, heads: 2, memoryLength: 8 }),
        { segments: true },
      ) as never,
    },
  };
  test.each(Object.entries(cases))("%s", async (name, more) => {
    const run = (count: number) => {
      const folder = join(directory, `${name}-${count}`);
      return train(options({ ...more, directory: folder, stepsPerRun: count }));
    };
    const [one, several] = [await run(1), await run(3)];
    expect(bytesOf(several.params)).toEqual(bytesOf(one.params));
    expect(several.average === undefined ? undefined : bytesOf(several.average)).toEqual(
      one.average === undefined ? undefined : bytesOf(one.average),
    );
    const logged = (count: number) => withoutTimes(readMetrics(join(directory, `${name}-${count}`, "metrics.jsonl")));
    expect(logged(3)).toEqual(logged(1));
    expect(logged(3).filter(({ loss }) => loss !== undefined)).toHaveLength(11);
  });
});

test("a loss that is not finite ends the run at its step, after those before it were logged", async () => {
  const folder = join(directory, "broken");
  const schedule = (step: number) => (step === 7 ? Number.POSITIVE_INFINITY : 1e-3);
  const broken = options({ directory: folder, stepsPerRun: 5, evalEvery: 20, steps: 20, schedule });
  await expect(train(broken)).rejects.toThrow(/^step 8: the loss is NaN; already before the step the parameter/);
  const records = readMetrics(join(folder, "metrics.jsonl")).filter(({ loss }) => loss !== undefined);
  expect(records.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("batches of several shapes are trained on one by one", async () => {
  const { views } = task;
  const grown = (count: number) => (step: number, rows: number) =>
    views.next.trainBatch(step, rows, count * (step > 5 ? 8 : 4));
  const view = { ...views.next, trainBatch: grown(1) } as never;
  const [one, several] = [
    await train(options({ view, stepsPerRun: 1 })),
    await train(options({ view, stepsPerRun: 4 })),
  ];
  expect(bytesOf(several.params)).toEqual(bytesOf(one.params));
});

test("how many steps a run has follows from the time of the first ones, and ends where something else is to be done", () => {
  const tell = (pace: ReturnType<typeof stepsPerRun>, times: readonly number[]) => {
    for (const ms of times) pace.took(ms);
    return pace;
  };
  const choose = { mayChoose: true, last: 1000, every: [undefined, 50] };
  const quick = tell(stepsPerRun(choose), [900, 100, 100, 100, 100]);
  expect(quick.next(5)).toBe(1);
  expect([6, 40, 41, 49, 990, 995].map(tell(quick, [100]).next)).toEqual([10, 10, 1, 1, 10, 1]);
  quick.giveUp();
  expect(quick.next(6)).toBe(1);
  const decided = (ms: number, more = {}) => tell(stepsPerRun({ ...choose, ...more }), Array(6).fill(ms)).next(6);
  expect([0.1, 100, 499, 501, 5000].map((ms) => decided(ms))).toEqual([16, 10, 2, 1, 1]);
  const prepared = (ms: number) => {
    const pace = stepsPerRun(choose);
    pace.prepared(ms);
    return tell(pace, Array(6).fill(100)).next(6);
  };
  // 994 steps of 100 ms are left.
  expect([4900, 5000].map(prepared)).toEqual([10, 1]);
  expect(decided(40, { mayChoose: false })).toBe(1);
  expect(decided(40, { every: [8] })).toBe(1);
  expect(tell(stepsPerRun({ ...choose, every: [8] }), Array(6).fill(40)).next(8)).toBe(8);
  expect(decided(5000, { fixed: 7 })).toBe(7);
});

test("trees are stacked by their arrays, if they have one structure", () => {
  const tree = (x: number, length = 2, kind = "a") => ({ x: fromNumbers(Array(length).fill(x), [length]), kind });
  const stacked = stackTrees([tree(1), tree(2)]);
  expect(stacked).toEqual({ x: fromNumbers([1, 1, 2, 2], [2, 2]), kind: "a" });
  expect(stackTrees([tree(1), tree(2, 3)])).toBeUndefined();
  expect(stackTrees([tree(1), tree(2, 2, "b")])).toBeUndefined();
});
