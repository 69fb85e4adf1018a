import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeModel } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { keyToDoor } from "../../src/rl/environments/key-to-door.ts";
import { pendulum } from "../../src/rl/environments/pendulum.ts";
import { decide } from "../../src/rl/off-line/decide.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { evaluateAtLengths } from "../../src/run/evaluate-run.ts";
import { exportModelOnnx, exportModelSafetensors } from "../../src/run/export-model.ts";
import { openDecider } from "../../src/run/open-decider.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { numbersByPath } from "../numbers.ts";

const device = await openCpu();
const home = mkdtempSync(join(tmpdir(), "tsformers-act-"));
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const config = (model: object, task: object = {}) =>
  parseRunConfig(
    {
      model: { kind: "decision-transformer", layers: 1, modelWidth: 8, heads: 1, ...model },
      task: { kind: "trajectories", randomEpisodes: 12, ...task },
      length: 5,
      batchSize: 4,
      steps: 3,
    },
    "test",
  );

describe("a run that learns to act", () => {
  const directory = join(home, "run");

  test("goes on where it was, is measured, and acts", async () => {
    const { run, result } = await trainRun(config({}), { directory, device });
    expect([run.kind, result.step]).toEqual(["act", 3]);
    const again = await trainRun(config({}), { directory, device });
    const opened = await openModel(directory);
    expect(numbersByPath(again.result.params)).toEqual(numbersByPath(opened.params));
    const reading = await prepareEvaluation(opened, { config: opened.run!.config, otherData: false });
    const options = { split: "test", lengths: [5], batchTokens: 20, limit: 8 } as const;
    const [measured] = await evaluateAtLengths(reading, opened.params as never, device, options);
    // Random actions: no model tells the four choices better than by chance.
    expect("loss" in measured! && measured.loss).toBeCloseTo(Math.log(4), 0);
    const { model, params, length } = await openDecider(directory);
    const made = { environment: keyToDoor, episodes: 3, seed: 0, target: 1, length, device };
    const { episodes } = await decide(model, params, made);
    expect(episodes.map(({ rewards }) => rewards.length > 0 && rewards.length <= 20)).toEqual([true, true, true]);
    const { episodes: same } = await decide(model, params, made);
    expect(same).toEqual(episodes);
  });

  test("is exported under our own names, and acts from there; it does not write", async () => {
    const opened = await openModel(directory);
    const folder = join(home, "export");
    expect(await exportModelSafetensors(opened, folder)).toBe("tsformers");
    const [a, b] = [await openDecider(directory), await openDecider(folder)];
    expect(numbersByPath(b.params)).toEqual(numbersByPath(a.params));
    expect(() => generatorOf(opened, device)).toThrow("generate: this run acts in an environment; it writes nothing");
    await exportModelOnnx(opened, join(home, "model.onnx"));
    const { graph } = decodeModel(readFileSync(join(home, "model.onnx")));
    expect(graph.inputs.map(({ name, shape, dtype }) => [name, shape, dtype])).toEqual([
      ["returns", [1, 5], "float32"],
      ["states", [1, 5, 8], "float32"],
      ["actions", [1, 5], "int32"],
      ["timesteps", [1, 5], "int32"],
      ["mask", [1, 5], "float32"],
    ]);
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([["told", [1, 5, 4]]]);
  });
});

// Routing keeps centroids from step to step.
test.each(["linear", "routing"])("any causal model acts: gpt with %s", async (mixer) => {
  const gpt = config(
    { kind: "gpt", mixer: { kind: mixer }, position: { kind: "none" } },
    { environment: "pendulum", randomEpisodes: 2 },
  );
  const directory = join(home, mixer);
  const { run } = await trainRun(gpt, { directory, device });
  expect(run.task.metrics.map(({ label }) => label)).toEqual(["squared error per step"]);
  const { model, params } = await openDecider(directory);
  expect("trainingState" in (params as object)).toBe(mixer === "routing");
  const acting = { environment: pendulum, episodes: 1, seed: 0, target: -100, length: 5, device };
  const { episodes } = await decide(model, params, acting);
  expect(episodes[0]!.actions.every((value) => Math.abs(value) <= 2)).toBe(true);
});

test("an encoder does not act", async () => {
  await expect(trainRun(config({ kind: "bert" }), { directory: join(home, "bert"), device })).rejects.toThrow(
    "task trajectories has nothing for bert: it offers act",
  );
  expect(existsSync(join(home, "bert"))).toBe(false);
});

test("a checkpoint in Hugging Face's layout acts; what does not act is refused", async () => {
  const golden = (name: string) => fileURLToPath(new URL(`../fixtures/golden/${name}`, import.meta.url));
  const { model } = await openDecider(golden("decision_transformer"));
  expect([model.features, model.longest]).toEqual([5, 30]);
  await expect(openDecider(golden("gpt2"))).rejects.toThrow("its model does not act");
  await expect(openModel(golden("decision_transformer"))).rejects.toThrow(
    "a Decision Transformer reads episodes and has no vocabulary",
  );
});

test("settings of the task that cannot be", async () => {
  const refused = (task: object) => trainRun(config({}, task), { directory: join(home, "none"), device });
  await expect(refused({ randomEpisodes: 0 })).rejects.toThrow(
    "trajectories: expected data or randomEpisodes above 0, got neither",
  );
  await expect(refused({ data: join(home, "no.npz") })).rejects.toThrow("no such file");
  expect(() => config({}, { best: 2 })).toThrow("best");
  await expect(
    trainRun(
      { ...config({}, { environment: "pendulum", randomEpisodes: 1 }), labelSmoothing: 0.1 },
      { directory: join(home, "none"), device },
    ),
  ).rejects.toThrow("labelSmoothing: real actions have no labels to smooth; leave it out");
  expect(existsSync(join(home, "none"))).toBe(false);
});
