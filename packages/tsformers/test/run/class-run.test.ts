import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { evaluateAtLengths, type LengthResult } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { startingParams } from "../../src/run/start-from.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-class-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

type Measured = Exclude<LengthResult, { readonly missing: string }>;
type Tree = Readonly<Record<string, unknown>>;

const sizes = { layers: 1, modelWidth: 16, heads: 2 };

const settings = (kind: string, more: Partial<RunConfigInput> = {}): RunConfigInput => ({
  task: { kind: "majority", symbols: 3 },
  length: 12,
  model: { kind, ...sizes },
  batchSize: 8,
  steps: 4,
  evalEvery: 2,
  evalTokens: 64,
  ...more,
});

const measured = async (directory: string, more: Partial<RunConfigInput> = {}): Promise<Measured[]> => {
  const opened = await openModel(directory);
  const reading = await prepareEvaluation(opened, {
    config: parseRunConfig(settings("gpt", more), "test"),
    otherData: true,
  });
  const options = { split: "test", lengths: [12], batchTokens: 96, limit: 64 } as const;
  return (await evaluateAtLengths(reading, opened.params as never, device, options)) as Measured[];
};

describe.each(["gpt", "bert", "longformer", "transformer-xl"])("%s tells the class of a row", (kind) => {
  it("is trained, evaluated and exported, and the export is the run", async () => {
    const directory = join(home, kind);
    const { run } = await trainRun(settings(kind), { directory, device });
    expect(run.config.objective).toEqual({ kind: "class" });
    const [result] = await measured(directory);
    expect(result!.totals.tokens).toBe(64);
    expect(result!.loss).toBeCloseTo(Math.log(3), 1);

    const exported = join(home, `${kind}-export`);
    const opened = await openModel(directory);
    await exportModelSafetensors(opened, exported);
    expect((await measured(exported))[0]!.totals).toEqual(result!.totals);
    await exportModelOnnx(opened, join(home, `${kind}.onnx`));
    expect(existsSync(join(home, `${kind}.onnx`))).toBe(true);
  });

  it("writes nothing", async () => {
    const opened = await openModel(join(home, kind));
    expect(() => generatorOf(opened, device)).toThrow("this run tells classes; it writes nothing");
  });
});

it("that sees one side only may fill in hidden tokens; it then writes nothing, and its export is evaluated like the run", async () => {
  const directory = join(home, "masked-gpt");
  const task = { kind: "text" };
  const { run } = await trainRun(settings("gpt", { task, objective: { kind: "masked" } }), { directory, device });
  expect(run.model.category).toBe("encoder");
  const opened = await openModel(directory);
  expect(() => generatorOf(opened, device)).toThrow("this model fills in hidden tokens");
  const exported = join(home, "masked-gpt-export");
  await exportModelSafetensors(opened, exported);
  const totals = async (directory: string) => (await measured(directory, { task }))[0]!.totals;
  expect(await totals(exported)).toEqual(await totals(directory));
});

it("goes on from where it stopped, with the same bytes", async () => {
  const schedule = { kind: "constant" };
  const [whole, halves] = [join(home, "whole"), join(home, "halves")];
  await trainRun(settings("gpt", { schedule }), { directory: whole, device });
  await trainRun(settings("gpt", { schedule, steps: 2 }), { directory: halves, device });
  await trainRun(settings("gpt", { schedule }), { directory: halves, device });
  const bytes = (directory: string) =>
    readFileSync(join(directory, "checkpoints", "step-00000004", "tensors.safetensors"));
  expect(bytes(halves).equals(bytes(whole))).toBe(true);
});

it("starts from the body of a run that fills in hidden tokens, with a new head", async () => {
  const pretrained = join(home, "pretrained");
  await trainRun(settings("bert", { task: { kind: "text" } }), { directory: pretrained, device });
  const source = await openModel(pretrained);
  // Both have a token for padding and one for hidden tokens.
  const task = { kind: "majority", symbols: source.model.vocabularySize - 2 };
  const run = await prepareRun(parseRunConfig({ ...source.run!.config, task, objective: undefined }, "test"));
  expect(run.kind).toBe("class");
  const { classHead, blocks } = startingParams(source, run).params as unknown as Tree;
  expect(blocks).toEqual((source.params as Tree).blocks);
  expect(classHead).toEqual((run.model.init(randomKey(run.config.seed)) as Tree).classHead);
});
