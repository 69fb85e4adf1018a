import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
  home = mkdtempSync(join(tmpdir(), "tsformers-match-"));
  mkdirSync(join(home, "books"));
  for (const split of ["train", "valid", "test"])
    for (const letter of ["a", "b"])
      writeFileSync(join(home, "books", `${split}_${letter}.txt`), `${letter}${split} `.repeat(100));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

type Tree = Readonly<Record<string, unknown>>;

const settings = (kind: string, more: Partial<RunConfigInput> = {}): RunConfigInput => ({
  task: { kind: "retrieval", data: join(home, "books") },
  length: 16,
  model: { kind, layers: 1, modelWidth: 16, heads: 2 },
  batchSize: 8,
  steps: 4,
  evalEvery: 2,
  evalTokens: 32,
  ...more,
});

const measured = async (directory: string): Promise<LengthResult> => {
  const opened = await openModel(directory);
  const config = parseRunConfig(settings("gpt"), "test");
  const reading = await prepareEvaluation(opened, { config, otherData: true });
  expect(reading.task.metrics.map(({ name }) => name)).toEqual(["loss", "accuracy"]);
  const options = { split: "test", lengths: [16], batchTokens: 96, limit: 40 } as const;
  return (await evaluateAtLengths(reading, opened.params as never, device, options))[0]!;
};

describe.each(["gpt", "bert"])("%s tells the class of two rows", (kind) => {
  it("is trained, evaluated and exported, and the export is the run", async () => {
    const directory = join(home, kind);
    const objective = { kind: "match" };
    const { run } = await trainRun(settings(kind), { directory, device });
    expect(run.config.objective).toEqual(objective);
    const opened = await openModel(directory);
    expect(opened.run!.task.classes).toBe(2);
    const result = await measured(directory);
    expect(result).toMatchObject({ totals: { rows: 40, tokens: 40 } });
    expect((result as { loss: number }).loss).toBeCloseTo(Math.log(2), 1);
    expect(() => generatorOf(opened, device)).toThrow("this run tells classes; it writes nothing");
    const exported = join(home, `${kind}-export`);
    await exportModelSafetensors(opened, exported);
    expect(await measured(exported)).toMatchObject({ totals: (result as { totals: object }).totals });
    await exportModelOnnx(opened, join(home, `${kind}.onnx`));
    expect(existsSync(join(home, `${kind}.onnx`))).toBe(true);
  });
});

it("starts from the body of a run that predicts next tokens, with a new head", async () => {
  const pretrained = join(home, "pretrained");
  await trainRun(settings("gpt", { objective: { kind: "next" } }), { directory: pretrained, device });
  const source = await openModel(pretrained);
  const run = await prepareRun(parseRunConfig({ ...source.run!.config, objective: { kind: "match" } }, "test"));
  const { matchHead, blocks } = startingParams(source, run).params as unknown as Tree;
  expect(blocks).toEqual((source.params as Tree).blocks);
  expect(matchHead).toEqual((run.model.init(randomKey(run.config.seed)) as Tree).matchHead);
});
