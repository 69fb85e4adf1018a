import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, flatten, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { readMetrics } from "../../src/train/metrics.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { openProgress } from "../../src/train/progress.ts";
import { constantRate, warmupCosine } from "../../src/train/schedules/index.ts";
import { showEvents } from "../../src/train/show-events.ts";
import { type TrainEvent, type TrainOptions, train } from "../../src/train/train.ts";

let device: Device;
let directory: string;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "train-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const task = copyTask({ symbols: 3, length: 8 });
const model = gpt({
  vocabularySize: task.vocabularySize,
  layers: 1,
  modelWidth: 32,
  heads: 2,
  length: 8,
  dropoutRate: 0.1,
});
const objective = tokenObjective(model);
const plainModel = gpt({ vocabularySize: task.vocabularySize, layers: 1, modelWidth: 32, heads: 2, length: 8 });

/** A run of 12 steps that evaluates every 4 and saves every 3. */
function short(more: Partial<TrainOptions<never, Batch>> = {}): TrainOptions<never, Batch> {
  return {
    objective: objective as never,
    task,
    view: task.views.next,
    optimiser: adamw(),
    schedule: warmupCosine({ peak: 3e-3, warmupSteps: 4, totalSteps: 12 }),
    steps: 12,
    batchSize: 4,
    length: 8,
    device,
    evalEvery: 4,
    evalTokens: 64,
    checkpointEvery: 3,
    averageDecay: 0.9,
    ...more,
  };
}

function bytesOf(tree: unknown): Buffer {
  const { leaves } = flatten(tree, (value): value is NDArray => value instanceof NDArray);
  return Buffer.concat(leaves.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
}

test("a small GPT learns to copy", async () => {
  const losses: number[] = [];
  const result = await train({
    ...short({
      steps: 200,
      batchSize: 32,
      objective: tokenObjective(plainModel) as never,
      evalTokens: 512,
      schedule: warmupCosine({ peak: 1e-2, warmupSteps: 20, totalSteps: 200 }),
    }),
    clipNorm: 1,
    onEvent: (event) => event.kind === "step" && losses.push(event.loss),
  });
  expect(losses).toHaveLength(200);
  expect(losses[0]).toBeCloseTo(Math.log(task.vocabularySize), 0);
  expect(result.ended).toBe("finished");
  expect(result.evaluation!.totals.tokens).toBe(512);
  expect(result.evaluation!.totals.correct! / 512).toBeGreaterThan(0.9);
  expect(result.tokensPerSecond).toBeGreaterThan(0);
});

test("a run that is stopped by a signal goes on where it was, and ends with the same bytes", async () => {
  const whole = await train(short());
  for (const [i, at] of [5, 6, 8].entries()) {
    const into = join(directory, String(i));
    const controller = new AbortController();
    const stopped = await train(
      short({
        directory: into,
        signal: controller.signal,
        onEvent: (event) => event.kind === "step" && event.step === at && controller.abort(),
      }),
    );
    expect(stopped).toMatchObject({ ended: "interrupted", step: at });
    const events: TrainEvent[] = [];
    const result = await train(short({ directory: into, onEvent: (event) => events.push(event) }));
    expect(events.filter(({ kind }) => kind === "resumed")).toEqual([{ kind: "resumed", step: at }]);
    expect(events.filter(({ kind }) => kind === "step")).toHaveLength(12 - at);
    expect(bytesOf(result.params)).toEqual(bytesOf(whole.params));
    expect(bytesOf(result.average)).toEqual(bytesOf(whole.average));
    expect(result.evaluation).toEqual(whole.evaluation);
    const records = readMetrics(join(into, "metrics.jsonl"));
    expect(records.filter(({ loss }) => loss !== undefined).map(({ step }) => step)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    expect(records.filter((record) => "valid/loss" in record).map(({ step }) => step)).toEqual([4, 8, 12]);
  }
});

test("a GPT trains in float16 with a scaled loss", async () => {
  const losses: number[] = [];
  const result = await train({
    ...short({
      objective: tokenObjective(plainModel) as never,
      steps: 40,
      batchSize: 16,
      schedule: constantRate(1e-2),
    }),
    float16: lossScale({ growEvery: 5 }),
    clipNorm: 1,
    onEvent: (event) => event.kind === "step" && losses.push(event.loss),
  });
  expect(losses.at(-1)).toBeLessThan(0.9 * losses[0]!);
  expect(bytesOf(result.params).length).toBe(bytesOf(plainModel.init(randomKey(0))).length);
});

test("a finished run is not made again; its result is", async () => {
  const first = await train(short({ directory }));
  let steps = 0;
  const second = await train(short({ directory, onEvent: ({ kind }) => kind === "step" && steps++ }));
  expect(steps).toBe(0);
  expect(second).toMatchObject({ ended: "finished", step: 12, evaluation: first.evaluation });
  expect(bytesOf(second.params)).toEqual(bytesOf(first.params));
});

test("the directory holds checkpoints of the last steps, metrics and TensorBoard's events", async () => {
  await train(short({ directory, keep: 2 }));
  expect(readdirSync(join(directory, "checkpoints")).sort()).toEqual(["step-00000009", "step-00000012"]);
  expect(readdirSync(join(directory, "tensorboard"))[0]).toMatch(/^events\.out\.tfevents\./);
  expect(readMetrics(join(directory, "metrics.jsonl"))[0]).toMatchObject({
    step: 1,
    learningRate: Math.fround(0.00075),
  });
});

test("another run's directory is refused; what differs is named", async () => {
  await train(short({ directory, steps: 3 }));
  await expect(train(short({ directory, batchSize: 8 }))).rejects.toThrow(
    /holds a run with batchSize 4, this one has 8;/,
  );
  await expect(train(short({ directory, optimiser: adamw({ beta1: 0.5 }) }))).rejects.toThrow(
    /with optimiser .*beta1=0\.9/,
  );
  await expect(train(short({ directory, identity: { layers: 2 } }))).rejects.toThrow(
    /configuration null, this one has \{"layers":2\}/,
  );
});

test("a damaged checkpoint is reported and the one before is used", async () => {
  const whole = await train(short({ directory }));
  const file = join(directory, "checkpoints", "step-00000012", "tensors.safetensors");
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
  const events: TrainEvent[] = [];
  const result = await train(short({ directory, onEvent: (event) => events.push(event) }));
  expect(events.find(({ kind }) => kind === "damaged")).toMatchObject({
    problem: { message: expect.stringMatching(/checksum/) },
  });
  expect(events.find(({ kind }) => kind === "resumed")).toEqual({ kind: "resumed", step: 9 });
  expect(bytesOf(result.params)).toEqual(bytesOf(whole.params));
});

test("evaluations without improvement end the run, also when it goes on in between", async () => {
  const stuck = short({ directory, schedule: constantRate(0), steps: 100, patience: 2 });
  const result = await train(stuck);
  // best at 4, then nothing better at 8 and 12
  expect(result).toMatchObject({ ended: "stopped early", step: 12 });
  expect(await train(stuck)).toMatchObject({ ended: "stopped early", step: 12 });
});

test("a loss that is not finite ends the run with the step and the parameter, and keeps the last checkpoint", async () => {
  const broken = short({
    directory,
    schedule: (step) => (step === 7 ? Number.POSITIVE_INFINITY : 1e-3),
    averageDecay: 0.5,
  });
  await expect(train(broken)).rejects.toThrow(
    /^step 8: the loss is NaN; already before the step the parameter \S+ was not$/,
  );
  expect(readdirSync(join(directory, "checkpoints"))).toContain("step-00000006");
});

test("nothing is written without a directory", async () => {
  await train(short({ steps: 3 }));
  expect(readdirSync(directory)).toEqual([]);
});

test("parameters may be given, and stay as they are", async () => {
  const params = model.init(randomKey(9));
  const before = bytesOf(params);
  const result = await train(short({ params: params as never, schedule: constantRate(0), steps: 3 }));
  expect(bytesOf(result.params)).toEqual(before);
  await train(short({ params: params as never, steps: 3 }));
  expect(bytesOf(params)).toEqual(before);
});

test("a model too large for the memory is refused, with the estimate, unless forced", async () => {
  const available = vi.spyOn(process, "availableMemory").mockReturnValue(100_000);
  try {
    await expect(train(short())).rejects.toThrow(
      /^this takes more memory than is free, 0\.100 MB: 1\d\.\dk parameters · .* in a step; lower modelWidth, layers$/,
    );
    await expect(train(short({ force: true, steps: 1 }))).resolves.toMatchObject({ step: 1 });
  } finally {
    available.mockRestore();
  }
});

test("events read as lines", async () => {
  const lines: string[] = [];
  const progress = openProgress({
    stream: { write: (text: string) => lines.push(text) },
    environment: {},
    lineEveryMs: 0,
  });
  await train(short({ directory, steps: 4, onEvent: showEvents(progress) }));
  await train(short({ directory, steps: 5, onEvent: showEvents(progress) }));
  const text = lines.join("");
  expect(text).toMatch(/k parameters · 0\.\d+ MB from step to step · about \d.* MB in a step\n/);
  expect(text).toMatch(/step 1\/4 · loss \d\.\d+ · .* tokens\/s/);
  expect(text).toMatch(/step 4 · valid loss \d\.\d{4}\n/);
  expect(text).toMatch(/going on after step 4\n/);
  expect(text).toMatch(/step 5\/5 · loss/);
  expect(existsSync(join(directory, "metrics.jsonl"))).toBe(true);
});

test("counts that are none are refused", async () => {
  await expect(train(short({ steps: 0 }))).rejects.toThrow("train: steps must be an integer ≥ 1, got 0");
});
