import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, decodeModel, evaluate, type NDArray, ndarray, randomKey, type Tensor } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelName, models } from "../../src/catalogue/models.ts";
import { ropeOf } from "../../src/io/hugging-face/rope.ts";
import { writeConfig } from "../../src/io/hugging-face/write-config.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { exportLayouts } from "../../src/run/export-layout.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { type AnyModel, makeModel } from "../../src/run/model.ts";
import { type OpenedModel, openModel } from "../../src/run/open-model.ts";
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

async function trained(kind: string, more: object = {}, parts: object = {}): Promise<OpenedModel> {
  const directory = join(home, `${kind}-${JSON.stringify([more, parts]).length}`);
  const model = { kind, layers: 1, modelWidth: 32, heads: 2, ...parts };
  const config = parseRunConfig(
    { task: { kind: "copy" }, length, steps: 3, batchSize: 4, ema: 0.9, model, ...more },
    "test",
  );
  if (!existsSync(directory)) await trainRun(config, { directory, device });
  return openModel(directory);
}

/** A run as it would be, of models that no task trains yet. */
async function untrained(kind: ModelName, parts: object = {}, length = 8): Promise<OpenedModel> {
  const directory = join(home, `${kind}-untrained`);
  const chosen = { kind, layers: 2, modelWidth: 32, heads: 2, ...parts };
  const config = { ...parseRunConfig({ task: { kind: "copy" }, length }, "test"), model: chosen, length };
  const model = await makeModel(config, 20);
  const task = { name: "none", fingerprint: "none", vocabularySize: 20, length };
  const params = model.init(randomKey(3)) as unknown;
  const run = { config, task, step: 0 };
  return { directory, run, model, params, length, endTokens: [], startToken: 0, notes: [] };
}

async function logitsOf(model: AnyModel, params: unknown, read = tokens): Promise<number[]> {
  const forward = (weights: never, input: Tensor) => {
    if (model.category === "picture") throw new Error("pictures are no tokens");
    if (model.category !== "encoder-decoder") return model.apply(weights, { tokens: input }, evaluation).logits;
    const encoded = model.encode(weights, { tokens: input }, evaluation);
    return model.decode(weights, { tokens: input, encoded }, evaluation).logits;
  };
  return ((await evaluate(forward, device, params as never, read as never)) as unknown as NDArray).toNumbers();
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

// Float32 in another order of operations; rotary angles are rounded as PyTorch rounds them in one of the two.
const tolerance = 1e-4;
const trainable = Object.entries(models).flatMap(([kind, { category }]) =>
  category === "encoder" || category === "picture" ? [] : [kind],
);
const encoders = Object.entries(models).flatMap(([kind, { category }]) =>
  category === "encoder" ? [kind as ModelName] : [],
);

/** Models that Hugging Face has not, or not quite so. */
const ownLayout = [
  "transformer",
  "al-rfou",
  "transformer-xl",
  "adaptive-span-transformer",
  "gtrxl",
  "spalm",
  "universal-encoder-decoder",
  "depth-adaptive-transformer",
  "calm",
  "memorizing-transformer",
  "compressive-transformer",
  "universal-transformer",
  "set-transformer",
  "decision-transformer",
  "sparse-transformer",
  "t-dmca",
  "reformer",
  "longformer",
  "bigbird",
  "etc",
  "led",
];
const layoutOf = (kind: string) => (ownLayout.includes(kind) ? "tsformers" : "hugging-face");

describe("safetensors", () => {
  async function readBack(opened: OpenedModel, layout: "hugging-face" | "tsformers"): Promise<OpenedModel> {
    const out = join(opened.directory, "out");
    expect(exportLayouts(opened.run!.config).safetensors).toBe(layout);
    expect(await exportModelSafetensors(opened, out)).toBe(layout);
    const again = await openModel(out);
    const [ours, theirs] = [await logitsOf(opened.model, opened.params), await logitsOf(again.model, again.params)];
    expect(Math.max(...ours.map(Math.abs))).toBeGreaterThan(1e-3);
    expect(largestDifference(ours, theirs)).toBeLessThan(tolerance);
    expect([again.length, again.startToken, again.endTokens]).toEqual([expect.any(Number), opened.startToken, []]);
    return again;
  }

  it.each(trainable)("of %s open again with the same logits, also when exported once more", async (kind) => {
    const opened = await trained(kind);
    const again = await readBack(opened, layoutOf(kind));
    await exportModelSafetensors(again, join(home, `${kind}-twice`));
    const twice = await openModel(join(home, `${kind}-twice`));
    expect(await logitsOf(twice.model, twice.params)).toEqual(await logitsOf(again.model, again.params));
  });

  it.each(encoders)("of %s open again with the same logits", async (kind) => {
    expect((await readBack(await untrained(kind), layoutOf(kind))).model.category).toBe("encoder");
  });

  it("of what Hugging Face does not have keep our names, settings and task", async () => {
    const opened = await trained("gpt", {}, { position: { kind: "alibi" } });
    expect(exportLayouts(opened.run!.config).reason).toBe("Hugging Face has no gpt with position alibi");
    const again = await readBack(opened, "tsformers");
    expect(again.run).toMatchObject({
      step: 3,
      config: { model: { position: { kind: "alibi" } } },
      task: opened.run!.task,
    });
  });

  it("keep the tokenizer, and not where the data lie", async () => {
    const data = join(home, "text.txt");
    writeFileSync(data, "a cab, a bad cab. ".repeat(40));
    for (const position of [undefined, { kind: "alibi" }]) {
      const opened = await trained("gpt", { task: { kind: "text", data }, evalTokens: 64 }, { position });
      const again = await readBack(opened, position === undefined ? "hugging-face" : "tsformers");
      expect(again.tokenizer!.decode(again.tokenizer!.encode("a bad cab"))).toBe("a bad cab");
      for (const name of ["config.json", "task.json"]) {
        const path = join(opened.directory, "out", name);
        if (existsSync(path)) expect(JSON.parse(readFileSync(path, "utf8")).task?.data).toBeUndefined();
      }
    }
  });

  it("of another model beside the settings are an error with the path", async () => {
    const opened = await trained("gpt", {}, { position: { kind: "alibi" } });
    const out = join(home, "mixed");
    await exportModelSafetensors(opened, out);
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    writeFileSync(join(out, "config.json"), JSON.stringify({ ...config, model: { ...config.model, layers: 2 } }));
    await expect(openModel(out)).rejects.toThrow(/mixed\/model\.safetensors: is not of the model that config\.json/);
  });

  it("of GPT-NeoX tell readers that round down how many features are rotated, for every head width", () => {
    for (let width = 2; width <= 512; width += 2) {
      const sizes = { vocabularySize: 4, layers: 1, modelWidth: width, heads: 1, length: 8 };
      const { rotary_pct: share } = writeConfig("gpt-neox", sizes) as { rotary_pct: number };
      const rotated = 2 * Math.ceil(width / 8);
      expect(Math.floor(width * share), `${width}`).toBe(rotated);
      expect(share).toBeLessThanOrEqual(1);
      const read = (rotary_pct: number) => ropeOf({ rotary_pct } as never, width, 0.25).rotated;
      expect([read(share), read(rotated / width)], `${width}`).toEqual([rotated, rotated]);
    }
  });
});

describe("where an export may be written", () => {
  it("replaces an earlier export as a whole, and an empty folder", async () => {
    const opened = await trained("gpt");
    const out = join(home, "again");
    mkdirSync(out);
    await exportModelSafetensors(opened, out);
    const first = readdirSync(out);
    writeFileSync(join(out, "merges.txt"), "left over");
    await exportModelSafetensors(opened, out);
    expect(readdirSync(out)).toEqual(first);
    expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const model = join(home, "again.onnx");
    await exportModelOnnx(opened, model);
    await exportModelOnnx(opened, model);
  });

  it("is nowhere in a run, its source or what is no export", async () => {
    const opened = await trained("gpt");
    const run = opened.directory;
    const out = join(home, "weights");
    await exportModelSafetensors(opened, out);
    const exported = await openModel(out);
    const foreign = join(home, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "notes.txt"), "mine");
    symlinkSync(run, join(home, "link"));
    const before = readdirSync(run);
    const folder = (path: string, from = opened) => exportModelSafetensors(from, path);
    const file = (path: string, from = opened) => exportModelOnnx(from, path);
    for (const [attempt, reason] of [
      [folder(run), "holds what is exported"],
      [folder(home), "holds what is exported"],
      [folder(join(home, "link")), "holds what is exported"],
      [folder(out, exported), "holds what is exported"],
      [folder(run, exported), "belongs to the run"],
      [folder(join(run, "checkpoints")), "belongs to the run"],
      [folder(join(run, "checkpoints", "deep", "er")), "belongs to the run"],
      [folder(join(home, "link", "checkpoints", "new")), "belongs to the run"],
      [file(join(run, "config.json")), "belongs to the run"],
      [file(join(run, "metrics.jsonl")), "belongs to the run"],
      [file(join(out, "model.safetensors"), exported), "is a file that tsformers did not export"],
      [file(foreign), "is a folder; --out expects a file"],
      [folder(join(foreign, "notes.txt")), "is a file; --out expects a folder"],
      [folder(foreign), "holds notes.txt, which is no part of an export"],
    ] as const) {
      await expect(attempt).rejects.toThrow(reason);
    }
    expect(readdirSync(run)).toEqual(before);
    expect(readFileSync(join(foreign, "notes.txt"), "utf8")).toBe("mine");
  });

  it("is not over weights of others", async () => {
    const other = join(home, "other");
    await exportModelSafetensors(await trained("gpt"), other);
    const path = join(other, "model.safetensors");
    // The same length, so that the file stays whole.
    writeFileSync(path, Buffer.from(readFileSync(path, "latin1").replace('"tsformers"', '"somebody!"'), "latin1"));
    await expect(exportModelSafetensors(await trained("llama"), other)).rejects.toThrow(
      "holds weights that tsformers did not export",
    );
  });
});

describe("ONNX", () => {
  it.each(["gpt", "llama"])(
    "of %s gives the same logits in ONNX Runtime, with standard operators only",
    async (kind) => {
      const opened = await trained(kind);
      const path = join(home, `${kind}.onnx`);
      await exportModelOnnx(opened, path);
      const model = decodeModel(readFileSync(path));
      expect(Object.keys(model.opsets)).toEqual([""]);
      expect(model.graph.nodes.every(({ domain }) => domain === "")).toBe(true);
      expect(model.graph.inputs.map(({ name }) => name)).toEqual(["tokens"]);
      const session = await ort.InferenceSession.create(path);
      const { logits } = await session.run({ tokens: new ort.Tensor("int32", tokens.data as Int32Array, [1, length]) });
      const ours = await logitsOf(opened.model, opened.params);
      expect(largestDifference(ours, logits!.data as Float32Array)).toBeLessThan(tolerance);
      await session.release();
    },
  );

  // Lengths below, at and beyond a window or block, and odd ones: nothing of the longest length may be left in the graph.
  it.each<[ModelName, object]>([
    ["longformer", { window: 4 }],
    ["bigbird", { block: 4, random: 1 }],
    ["led", { window: 4 }],
    ["reformer", {}],
    ["bert", { mixer: { kind: "linformer" } }],
    ["bert", { mixer: { kind: "performer" } }],
    ["bert", { mixer: { kind: "etc" } }],
    ["bert", { mixer: { kind: "sinkhorn" } }],
    ["gpt", { mixer: { kind: "longformer", window: 4 } }],
  ])("of %s %j is right at lengths other than that of training", async (kind, parts) => {
    const opened = await untrained(kind, parts, 32);
    const row = (size: number) => Int32Array.from({ length: size }, (_, i) => 1 + ((7 * i) % 19));
    const path = join(home, "lengths.onnx");
    for (const size of [3, 17, 32]) {
      await exportModelOnnx(opened, path, { length: size });
      const session = await ort.InferenceSession.create(path);
      const feeds = (of: number): Record<string, ort.Tensor> => {
        const tokens = new ort.Tensor("int32", row(of), [1, of]);
        const mask = new ort.Tensor("int32", new Int32Array(of).fill(1), [1, of]);
        return session.inputNames.length === 1 ? { tokens } : { tokens, source: tokens, source_mask: mask };
      };
      const { logits } = await session.run(feeds(size));
      const ours = await logitsOf(opened.model, opened.params, ndarray(row(size), [1, size], "int32"));
      expect(Math.max(...ours.map(Math.abs))).toBeGreaterThan(1e-3);
      expect(largestDifference(ours, logits!.data as Float32Array), `${size}`).toBeLessThan(tolerance);
      // A file reads rows of its own length; others are refused, not read wrongly.
      await expect(session.run(feeds(size + 1))).rejects.toThrow(/invalid dimensions/);
      await session.release();
    }
  });

  it("of an encoder-decoder reads a source too", async () => {
    const opened = await trained("transformer");
    const path = join(home, "transformer.onnx");
    await exportModelOnnx(opened, path, { batchSize: 2 });
    const { inputs, outputs } = decodeModel(readFileSync(path)).graph;
    expect(inputs.map(({ name, shape }) => [name, ...shape])).toEqual([
      ["tokens", 2, length],
      ["source", 2, length],
      ["source_mask", 2, length],
    ]);
    expect(outputs[0]!.shape).toEqual([2, length, opened.model.vocabularySize]);
  });

  it("of an exported checkpoint is that of the run, and carries settings and tokenizer", async () => {
    const data = join(home, "letters.txt");
    writeFileSync(data, "a cab, a bad cab. ".repeat(40));
    const opened = await trained("gpt", { task: { kind: "text", data }, evalTokens: 64, seed: 4 });
    const out = join(home, "letters");
    await exportModelSafetensors(opened, out);
    const path = join(home, "letters.onnx");
    await exportModelOnnx(await openModel(out), path);
    const { metadata, graph } = decodeModel(readFileSync(path));
    expect(graph.inputs.map(({ shape }) => shape)).toEqual([[1, length]]);
    expect(JSON.parse(metadata!.tokenizer!)).toEqual(opened.tokenizer!.config);
    expect(JSON.parse(metadata!.config!)).toMatchObject({ model_type: "gpt2", n_positions: length });
  });
});
