import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeModel } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { evaluateAtLengths, type LengthResult } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { logitsOf } from "../../src/run/logits.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { startingParams } from "../../src/run/start-from.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-regress-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

type Measured = Exclude<LengthResult, { readonly missing: string }>;

const settings = (kind: string): RunConfigInput => ({
  task: { kind: "max-regression" },
  length: 12,
  model: { kind, layers: 1, modelWidth: 16, heads: 2 },
  batchSize: 8,
  steps: 6,
  evalEvery: 2,
  evalTokens: 48,
});

const measured = async (directory: string): Promise<Measured> => {
  const opened = await openModel(directory);
  const config = parseRunConfig(settings("gpt"), "test");
  const reading = await prepareEvaluation(opened, { config, otherData: true });
  const options = { split: "test", lengths: [12], batchTokens: 96, limit: 48 } as const;
  const [result] = await evaluateAtLengths(reading, opened.params as never, device, options);
  return result as Measured;
};

describe.each(["gpt", "bert", "set-transformer"])("%s tells numbers of sets", (kind) => {
  it("is trained, evaluated and exported, and the export is the run; it writes nothing and reads no tokens", async () => {
    const directory = join(home, kind);
    const { run } = await trainRun(settings(kind), { directory, device });
    expect(run.config.objective).toEqual({ kind: "regress" });
    const result = await measured(directory);
    expect(result.totals).toEqual({ lossSum: expect.any(Number), tokens: 48, rows: 48 });
    const lines = readFileSync(join(directory, "metrics.jsonl"), "utf8").trim().split("\n");
    const last = JSON.parse(lines.at(-1)!) as Record<string, number>;
    expect(Object.keys(last)).toEqual(["step", "valid/loss"]);

    const opened = await openModel(directory);
    const exported = join(home, `${kind}-export`);
    await exportModelSafetensors(opened, exported);
    expect((await measured(exported)).totals).toEqual(result.totals);
    await exportModelOnnx(opened, join(home, `${kind}.onnx`), { batchSize: 2 });
    const { graph } = decodeModel(readFileSync(join(home, `${kind}.onnx`)));
    const [shapes] = [[...graph.inputs, ...graph.outputs].map(({ name, dtype, shape }) => [name, dtype, shape])];
    expect(shapes).toEqual([
      ["vectors", "float32", [2, 12, 1]],
      ["told", "float32", [2, 1, 1]],
    ]);
    expect(() => generatorOf(opened, device)).toThrow("this run tells numbers of sets; it writes nothing");
    await expect(logitsOf(opened, [0], device)).rejects.toThrow("sets: expected vectors [B, T, 1], got tokens");
  });

  it("ends with the same figures when it was stopped in between", async () => {
    const directory = join(home, `${kind}-stopped`);
    await trainRun({ ...settings(kind) }, { directory, device, pauseAt: 3 });
    const { result } = await trainRun(settings(kind), { directory, device });
    expect(result.step).toBe(6);
    expect((await measured(directory)).totals).toEqual((await measured(join(home, kind))).totals);
  });
});

it("starts from another run on sets", async () => {
  const source = await openModel(join(home, "bert"));
  const again = await prepareRun(parseRunConfig({ ...source.run!.config, seed: 5 }, "test"));
  expect(startingParams(source, again).params).toEqual(source.params);
});
