import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRunConfig, type RunConfig, runSchema } from "../../src/run/config.ts";
import { evaluateAtLengths } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx } from "../../src/run/export-model.ts";
import { flagNamed, flagsOf, withFlags } from "../../src/run/flags.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { partNames, parts } from "../../src/run/parts.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-members-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const flags = flagsOf(runSchema);
const sizes = {
  layers: "1",
  "model-width": "16",
  heads: "2",
  length: "16",
  "batch-size": "2",
  steps: "2",
  "eval-every": "2",
  "eval-tokens": "16",
};

function configOf(given: Readonly<Record<string, string>>): RunConfig {
  const values = Object.entries({ ...sizes, ...given }).map(([name, text]) => [flagNamed(flags, name)!, text] as const);
  return parseRunConfig(withFlags({}, flags, new Map(values)), "flags");
}

/** Trains, evaluates, writes on and exports. */
async function wholeLife(config: RunConfig, name: string): Promise<void> {
  const directory = join(home, name);
  const { result } = await trainRun(config, { directory, device });
  expect(result.step).toBe(2);
  const opened = await openModel(directory);
  const reading = await prepareEvaluation(opened, { config: opened.run!.config, otherData: false });
  const options = { split: "test", lengths: [16], batchTokens: 32, limit: 16 } as const;
  const [measured] = await evaluateAtLengths(reading, opened.params as never, device, options);
  expect(measured).toMatchObject({ length: 16, loss: expect.any(Number) });
  expect(Number.isFinite("loss" in measured! ? measured.loss : Number.NaN)).toBe(true);
  const generator = generatorOf(opened, device);
  const tokens = generator.tokens([1, 2], { count: 3 });
  let count = 0;
  for await (const _ of tokens) count++;
  expect(count).toBe(3);
  await generator.release();
  const path = join(home, `${name}.onnx`);
  await exportModelOnnx(opened, path);
  expect(existsSync(path)).toBe(true);
}

describe.each(partNames)("gpt with every %s, chosen by a flag", (part) => {
  it.each(Object.entries(parts[part].catalogue))("%s", async (kind, entry) => {
    const config = configOf({ [part]: kind });
    const directions: readonly string[] = "directions" in entry ? entry.directions : ["causal"];
    const life = wholeLife(config, `${part}-${kind}`);
    if (directions.includes("causal")) await life;
    else await expect(life).rejects.toThrow(`${kind}: is bidirectional only, not causal`);
  });
});

it("layers have mixers and patterns of their own", async () => {
  const config = configOf({ layers: "3", mixer: "lsh,softmax*2", pattern: "window*2,full", "pattern.before": "2" });
  expect(config.model).toMatchObject({
    mixer: [{ kind: "lsh" }, { kind: "softmax" }, { kind: "softmax" }],
    pattern: [{ kind: "window", before: 2 }, { before: 2 }, { kind: "full" }],
  });
  await wholeLife(config, "layers");
});

it("softmax attention has norms, a cap and a sink, and streams beyond its window", async () => {
  const settings = { "mixer.qk-norm": "true", "mixer.cap": "20", "mixer.sink": "true" };
  const sinks = { pattern: "sinks", "pattern.sinks": "2", "pattern.before": "3" };
  const places = { position: "streaming-rotary", "position.sinks": "2", "position.before": "3" };
  const config = configOf({ mixer: "softmax", ...settings, ...sinks, ...places });
  expect(config.model).toMatchObject({ mixer: { kind: "softmax", qkNorm: true, cap: 20, sink: true } });
  await wholeLife(config, "streaming");
});

it.each(Object.keys(parts.depth.catalogue))("all layers of a depth have one projection: %s", async (depth) => {
  const chosen = { model: "bert", mixer: "linformer", "mixer.slots": "4", "mixer.sharing": "layerwise", depth };
  const directory = join(home, `shared-${depth}`);
  const { result } = await trainRun(configOf({ ...chosen, layers: "3" }), { directory, device });
  const { blocks } = result.params as { blocks: { mixer: object }[] };
  expect(blocks.map(({ mixer }) => "projection" in mixer)).toEqual(blocks.map((_, layer) => layer === 0));
});

it("bert has parts of its own choice, too, and fills in hidden tokens", async () => {
  const config = configOf({ model: "bert", mixer: "linformer", "mixer.slots": "4", position: "rotary" });
  const { run, result } = await trainRun(config, { directory: join(home, "bert"), device });
  expect([run.model.category, result.step]).toEqual(["encoder", 2]);
});
