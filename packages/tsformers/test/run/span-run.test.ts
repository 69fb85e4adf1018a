import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evaluate, flatten, isNdArray, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { evaluateAtLengths, type LengthResult } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { type OpenedModel, openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { startingParams } from "../../src/run/start-from.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-spans-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

type Measured = Exclude<LengthResult, { readonly missing: string }>;

const sizes = { layers: 1, modelWidth: 16, heads: 2 };

const settings = (model: { readonly kind: string } & Readonly<Record<string, unknown>>): RunConfigInput => ({
  task: { kind: "questions", words: 24 },
  length: 32,
  model: { ...sizes, ...model },
  batchSize: 4,
  steps: 2,
  evalEvery: 2,
  evalTokens: 64,
});

const measured = async (opened: OpenedModel): Promise<Measured> => {
  const config = parseRunConfig(opened.run!.config, "test");
  const reading = await prepareEvaluation(opened, { config, otherData: true });
  const options = { split: "test", lengths: [32], batchTokens: 96, limit: 64 } as const;
  return (await evaluateAtLengths(reading, opened.params as never, device, options))[0] as Measured;
};

describe.each([{ kind: "bert" }, { kind: "longformer", window: 4 }, { kind: "bigbird", block: 4, random: 1 }])(
  "$kind answers questions by spans",
  (model) => {
    it("is trained, evaluated and exported, with the question global in the file, too", async () => {
      const directory = join(home, model.kind);
      const { run } = await trainRun(settings(model), { directory, device });
      expect(run.config.objective).toEqual({ kind: "spans" });
      expect(run.task.metrics.map(({ name }) => name)).toEqual(["loss", "exactMatch", "tokenF1"]);
      const opened = await openModel(directory);
      expect(opened.run!.task).toMatchObject({ separator: 2, longest: 3 });
      const { totals } = await measured(opened);
      expect([totals.tokens, totals.rows]).toEqual([64, 64]);
      expect(totals.overlap).toBeGreaterThan(0);
      expect(() => generatorOf(opened, device)).toThrow("this run tells where answers stand; it writes nothing");

      const exported = join(home, `${model.kind}-export`);
      await exportModelSafetensors(opened, exported);
      expect((await measured(await openModel(exported))).totals).toEqual(totals);

      const path = join(home, "spans.onnx");
      await exportModelOnnx(opened, path);
      const session = await ort.InferenceSession.create(path);
      const row = Int32Array.from({ length: 32 }, (_, t) => (t === 8 ? 2 : 3 + ((5 * t) % 29)));
      const { logits } = await session.run({ tokens: new ort.Tensor("int32", row, [1, 32]) });
      await session.release();
      const { model: trained, params } = opened;
      const forward = (weights: never, tokens: Tensor) =>
        trained.category === "encoder" ? trained.apply(weights, { tokens }, evaluation).logits : undefined;
      const rows = ndarray(row, [1, 32], "int32");
      const ours = ((await evaluate(forward as never, device, params as never, rows as never)) as NDArray).toNumbers();
      const theirs = logits!.data as Float32Array;
      expect([theirs[0]! < -1e8, theirs[17]! < -1e8, theirs[18]! > -1e8]).toEqual([true, true, true]);
      for (let i = 18; i < 64; i++) expect(theirs[i]).toBeCloseTo(ours[i]!, 4);
    });
  },
);

it("a longer model takes the head for ends of answers along", async () => {
  await trainRun(settings({ kind: "bert" }), { directory: join(home, "bert"), device });
  const source = await openModel(join(home, "bert"));
  const longer = { ...settings({ kind: "longformer", window: 8 }), length: 64, from: join(home, "bert") };
  const { params, changes } = startingParams(source, await prepareRun(parseRunConfig(longer, "test")));
  expect(changes[0]).toBe("positions tiled from 32 to 64");
  const headOf = (tree: unknown) =>
    flatten((tree as { spanHead: unknown }).spanHead, isNdArray).leaves.map((array) => array.toNumbers());
  expect(headOf(params)).toEqual(headOf(source.params));
});
