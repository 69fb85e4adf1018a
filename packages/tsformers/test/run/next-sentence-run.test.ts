import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunConfigInput } from "../../src/run/config.ts";
import { evaluateAtLengths } from "../../src/run/evaluate-run.ts";
import { exportModelSafetensors } from "../../src/run/export-model.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-sentences-"));
  const sentence = (i: number) => `Line ${i} is said. And ${i + 1} follows!`;
  writeFileSync(join(home, "text.txt"), Array.from({ length: 200 }, (_, i) => sentence(i)).join(" "));
  for (const name of ["even", "odd"]) {
    mkdirSync(join(home, "documents", name), { recursive: true });
    for (let i = 0; i < 12; i++) writeFileSync(join(home, "documents", name, `${i}.txt`), `It is ${name}: ${i}.`);
  }
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const settings = (more: Partial<RunConfigInput> = {}): RunConfigInput => ({
  task: { kind: "text", data: join(home, "text.txt"), tokens: "byte" },
  model: { kind: "bert", layers: 1, modelWidth: 16, heads: 2 },
  objective: { kind: "next-sentence", wholeWords: true },
  length: 24,
  batchSize: 4,
  steps: 4,
  evalEvery: 2,
  evalTokens: 64,
  ...more,
});
const run = (name: string, more: Partial<RunConfigInput> = {}) =>
  trainRun(settings(more), { directory: join(home, name), device });

it("is trained, evaluated and exported, and the export is the run", async () => {
  const { run: trained } = await run("pairs");
  expect(trained.config.objective).toEqual({ kind: "next-sentence", wholeWords: true });
  expect(trained.task.metrics.map(({ name }) => name)).toEqual(["loss", "tokenAccuracy", "nextSentenceAccuracy"]);
  await exportModelSafetensors(await openModel(join(home, "pairs")), join(home, "exported"));
  const totals = await Promise.all(
    ["pairs", "exported"].map(async (name) => {
      const opened = await openModel(join(home, name));
      expect(() => generatorOf(opened, device)).toThrow("this model fills in hidden tokens");
      const config = { ...trained.config };
      const reading = await prepareEvaluation(opened, { config, otherData: false });
      const options = { split: "test", lengths: [24], batchTokens: 96, limit: 30 } as const;
      return (await evaluateAtLengths(reading, opened.params as never, device, options))[0];
    }),
  );
  expect(totals[0]).toMatchObject({ totals: { tokens: 30 } });
  const totalsOf = (result: unknown) => (result as { totals: Record<string, number> }).totals;
  expect(totalsOf(totals[0]).rows).toBeGreaterThan(4);
  expect(totalsOf(totals[1])).toEqual(totalsOf(totals[0]));
});

it("goes on from where it stopped, with the same bytes", async () => {
  await run("whole", { steps: 6, schedule: { kind: "constant" } });
  await run("parts", { steps: 3, schedule: { kind: "constant" } });
  await run("parts", { steps: 6, schedule: { kind: "constant" } });
  const [a, b] = await Promise.all(["whole", "parts"].map(async (name) => (await openModel(join(home, name))).params));
  expect(b).toEqual(a);
});

it("is where a run of classes starts from, without the marks of sentences", async () => {
  const tuning = { from: join(home, "pairs"), task: { kind: "classify-text", data: join(home, "documents") } };
  const { objective: _, model: __, ...rest } = settings();
  // No step of any size: the body is the one that it started from.
  const { run: tuned } = await trainRun(
    { ...rest, ...tuning, steps: 1, learningRate: 1e-30 },
    { directory: join(home, "tuned"), device },
  );
  expect(tuned.config.objective).toEqual({ kind: "class" });
  const [before, after] = await Promise.all(
    ["pairs", "tuned"].map(async (name) => (await openModel(join(home, name))).params as Record<string, unknown>),
  );
  type Embedding = { readonly weight: NDArray };
  const [old, own] = [before!.tokens as Embedding, after!.tokens as Embedding];
  expect([old.weight.shape, own.weight.shape]).toEqual([
    [259, 16],
    [257, 16],
  ]);
  expect(own.weight.toNumbers()).toEqual(old.weight.toNumbers().slice(0, 257 * 16));
  expect(Object.keys(after!)).toContain("classHead");
  expect(Object.keys(after!)).not.toContain("pooler");
  await expect(run("x", { from: join(home, "pairs"), objective: { kind: "masked" } })).rejects.toThrow(
    /has 259 tokens, task text 257/,
  );
});

it("needs a text, a model that sees both sides, and words to hide whole ones", async () => {
  const gpt = { kind: "gpt", layers: 1, modelWidth: 16, heads: 2 };
  await expect(run("a", { model: gpt })).rejects.toThrow(
    'gpt cannot be trained for "next-sentence", which needs a model that sees both sides',
  );
  const majority = { task: { kind: "majority" } };
  await expect(run("b", majority)).rejects.toThrow('task majority has nothing for "next-sentence"');
  await expect(run("c", { ...majority, objective: { kind: "masked", wholeWords: true } })).rejects.toThrow(
    "wholeWords: the tokens of task majority are no parts of words; leave it out",
  );
});
