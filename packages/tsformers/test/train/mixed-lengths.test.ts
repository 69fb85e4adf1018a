import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { prepareComparison } from "../../src/compare/execution/prepare-comparison.ts";
import { parseCompareSettings } from "../../src/compare/settings.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { mqarTask } from "../../src/tasks/recall/mqar.ts";
import { readMetrics } from "../../src/train/metrics.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";

const device = await openCpu();
const directory = mkdtempSync(join(tmpdir(), "mixed-lengths-"));
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await device.close();
});

const task = mqarTask({ mixed: true, vocabulary: 256 });
const sizes = { layers: 1, modelWidth: 16, heads: 2 };
const batchSize = 2;
const run = (more: Partial<TrainOptions<never, never>>) =>
  train({
    objective: tokenObjective(gpt({ ...sizes, vocabularySize: 256, length: 256 })) as never,
    task,
    view: task.views.next as never,
    optimiser: adamw(),
    schedule: constantRate(1e-3),
    steps: 10,
    batchSize,
    length: task.length,
    evalTokens: 64,
    device,
    ...more,
  });

test("updates have rows of several lengths, a run that goes on meets the same ones, and speeds count their tokens", async () => {
  const whole = await run({});
  const from = performance.now();
  const paused = await run({ directory, pauseAt: 4 });
  expect(paused.ended).toBe("paused");
  const gone = await run({ directory });
  const seconds = (performance.now() - from) / 1000;
  expect(gone.params).toEqual(whole.params);
  const records = readMetrics(join(directory, "metrics.jsonl")).filter(({ loss }) => loss !== undefined);
  expect(records.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  const lengths = records.map(({ step }) => task.views.next.lengths!.at(step));
  expect(new Set(lengths).size).toBe(3);
  const spent = records.map(({ tokensPerSecond }, i) => (batchSize * lengths[i]!) / (tokensPerSecond as number));
  expect(spent.reduce((sum, each) => sum + each, 0)).toBeLessThan(seconds);
});

test("a comparison counts the tokens that rows have, not those of the longest", async () => {
  const config = parseRunConfig(
    { task: { kind: "mqar", mixed: true, vocabulary: 256 }, model: { kind: "gpt", ...sizes }, batchSize, steps: 90 },
    "test",
  );
  const cell = { task: "mqar", variant: "softmax", config, candidates: [{ settings: {}, config }] };
  // 64 five times, 128 once, 256 three times: 1,216 positions in nine updates of a row.
  const budget = { kind: "tokens", amount: 10 * batchSize * 1216 };
  const settings = parseCompareSettings({ seeds: 1, lengths: [64], budget, testTokens: 64 }, "test");
  const prepared = await prepareComparison([cell], settings);
  expect(prepared.cells[0]!.config.steps).toBe(90);
  expect(prepared.tasks[0]).toMatchObject({ trainLength: 256, lengths: [64] });
  const one = async (length: number) => {
    const own = parseRunConfig({ ...config, task: { kind: "mqar", vocabulary: 256, pairs: 16 }, length }, "test");
    const made = { ...cell, config: own, candidates: [{ settings: {}, config: own }] };
    return (await prepareComparison([made], settings)).abouts[0]!.flopsPerToken;
  };
  const expected = (5 * 64 * (await one(64)) + 128 * (await one(128)) + 3 * 256 * (await one(256))) / 1216;
  // Gradients of parameters are added up once for a batch, which has more rows where they are shorter.
  expect(prepared.abouts[0]!.flopsPerToken / expected).toBeCloseTo(1, 2);
});
