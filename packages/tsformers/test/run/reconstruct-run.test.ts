import { mkdtempSync, rmSync } from "node:fs";
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
  home = mkdtempSync(join(tmpdir(), "tsformers-reconstruct-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

type Measured = Exclude<LengthResult, { readonly missing: string }>;
type Tree = Readonly<Record<string, unknown>>;

const settings = (kind: string, task: string): RunConfigInput => ({
  task: { kind: task },
  length: 12,
  model: { kind, layers: 1, modelWidth: 16, heads: 2 },
  batchSize: 8,
  steps: 4,
  evalEvery: 2,
  evalTokens: 48,
});

const measured = async (directory: string): Promise<Measured> => {
  const opened = await openModel(directory);
  const config = parseRunConfig(settings("gpt", "mad-compression"), "test");
  const reading = await prepareEvaluation(opened, { config, otherData: true });
  const options = { split: "test", lengths: [12], batchTokens: 96, limit: 48 } as const;
  const [result] = await evaluateAtLengths(reading, opened.params as never, device, options);
  return result as Measured;
};

describe.each(["gpt", "bert", "transformer-xl"])("%s gives rows back", (kind) => {
  it("is trained, evaluated and exported, and the export is the run; it writes nothing", async () => {
    const directory = join(home, kind);
    const { run } = await trainRun(settings(kind, "mad-compression"), { directory, device });
    expect(run.config.objective).toEqual({ kind: "reconstruct" });
    const result = await measured(directory);
    expect(result.totals.tokens).toBe(48);
    expect(result.loss).toBeCloseTo(Math.log(16), 0);

    const opened = await openModel(directory);
    const exported = join(home, `${kind}-export`);
    await exportModelSafetensors(opened, exported);
    expect((await measured(exported)).totals).toEqual(result.totals);
    await exportModelOnnx(opened, join(home, `${kind}.onnx`));
    expect(() => generatorOf(opened, device)).toThrow("this run gives rows back that it has read; it writes nothing");
  });
});

it("starts from the body of a run that predicts next tokens, with a new decoder", async () => {
  const pretrained = join(home, "pretrained");
  await trainRun(settings("gpt", "mad-recall"), { directory: pretrained, device });
  const source = await openModel(pretrained);
  const task = { kind: "mad-compression" };
  const run = await prepareRun(parseRunConfig({ ...source.run!.config, task, objective: undefined }, "test"));
  const { reconstruction, blocks } = startingParams(source, run).params as unknown as Tree;
  expect(blocks).toEqual((source.params as Tree).blocks);
  expect(reconstruction).toEqual((run.model.init(randomKey(run.config.seed)) as Tree).reconstruction);
});
