import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, decodeModel, evaluate, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { configWriters } from "../../src/io/hugging-face/write-config.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { evaluation } from "../../src/nn/layer.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { exportRunOnnx, exportRunSafetensors } from "../../src/run/export-run.ts";
import { type LoadedRun, loadRun } from "../../src/run/load-run.ts";
import { trainRun } from "../../src/run/train-run.ts";

let home: string;
let device: Device;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "tsformers-export-"));
  device = await openDevice("cpu");
});
afterAll(async () => {
  await device.close();
  rmSync(home, { recursive: true, force: true });
});

const length = 8;
const tokens = ndarray(Int32Array.from([1, 2, 3, 4, 5, 6, 7, 0]), [1, length], "int32");

async function trained(kind: string, more: object = {}): Promise<LoadedRun> {
  const directory = join(home, `${kind}-${Object.values(more).length}`);
  const model = { kind, layers: 1, modelWidth: 32, heads: 2 };
  const config = parseRunConfig(
    { task: { kind: "copy" }, length, steps: 3, batchSize: 4, ema: 0.9, model, ...more },
    "test",
  );
  await trainRun(config, { directory, device });
  return loadRun(directory);
}

async function logitsOf(model: LanguageModel, params: unknown): Promise<number[]> {
  const forward = (weights: never, input: Tensor) => model.apply(weights, { tokens: input }, evaluation).logits;
  return ((await evaluate(forward, device, params as never, tokens as never)) as unknown as NDArray).toNumbers();
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

// Float32 in another order of operations; rotary angles are rounded as PyTorch rounds them in one of the two.
const tolerance = 1e-4;

describe("safetensors", () => {
  it.each(Object.keys(configWriters))("of %s read back as Hugging Face's give the same logits", async (kind) => {
    const loaded = await trained(kind);
    const directory = join(home, `${kind}-hf`);
    expect(await exportRunSafetensors(loaded, directory)).toBe("hugging-face");
    const { architecture, params } = await loadHuggingFace(directory);
    const theirs = await logitsOf(architecture.model as LanguageModel, params);
    const ours = await logitsOf(loaded.model as unknown as LanguageModel, loaded.params);
    expect(Math.max(...ours.map(Math.abs))).toBeGreaterThan(1e-3);
    expect(largestDifference(ours, theirs)).toBeLessThan(tolerance);
  });

  it("of what Hugging Face does not have keep our names", async () => {
    const loaded = await trained("gpt", { position: { kind: "alibi" } });
    expect(await exportRunSafetensors(loaded, join(home, "own"))).toBe("tsformers");
    const config = JSON.parse(readFileSync(join(home, "own", "config.json"), "utf8")) as {
      model_type: string;
      position: unknown;
    };
    expect(config).toMatchObject({ model_type: "tsformers", position: { kind: "alibi" } });
  });
});

describe("ONNX", () => {
  it.each(["gpt", "llama"])(
    "of %s gives the same logits in ONNX Runtime, with standard operators only",
    async (kind) => {
      const loaded = await trained(kind);
      const path = join(home, `${kind}.onnx`);
      await exportRunOnnx(loaded, path);
      const model = decodeModel(readFileSync(path));
      expect(Object.keys(model.opsets)).toEqual([""]);
      expect(model.graph.nodes.every(({ domain }) => domain === "")).toBe(true);
      expect(model.graph.inputs.map(({ name }) => name)).toEqual(["tokens"]);
      const session = await ort.InferenceSession.create(path);
      const { logits } = await session.run({ tokens: new ort.Tensor("int32", tokens.data as Int32Array, [1, length]) });
      const ours = await logitsOf(loaded.model as unknown as LanguageModel, loaded.params);
      expect(largestDifference(ours, logits!.data as Float32Array)).toBeLessThan(tolerance);
      await session.release();
    },
  );

  it("of an encoder-decoder reads a source too", async () => {
    const loaded = await trained("transformer");
    const path = join(home, "transformer.onnx");
    await exportRunOnnx(loaded, path, { batchSize: 2 });
    const { inputs, outputs } = decodeModel(readFileSync(path)).graph;
    expect(inputs.map(({ name, shape }) => [name, ...shape])).toEqual([
      ["tokens", 2, length],
      ["source", 2, length],
      ["source_mask", 2, length],
    ]);
    expect(outputs[0]!.shape).toEqual([2, length, loaded.task.vocabularySize]);
  });
});
