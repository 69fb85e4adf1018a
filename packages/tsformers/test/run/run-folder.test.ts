import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type Device, flatten, isNdArray } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RunConfigInput } from "../../src/run/config.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { exportModelSafetensors } from "../../src/run/export-model.ts";
import { loadRun } from "../../src/run/load-run.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { readMetrics } from "../../src/train/metrics.ts";
import type { TrainEvent } from "../../src/train/train.ts";

let device: Device;
let home: string;
let data: string;
let run: string;
beforeAll(async () => {
  device = await openDevice("cpu");
});
afterAll(() => device.close());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-folder-"));
  data = join(home, "data.txt");
  run = join(home, "run");
  writeFileSync(data, text("abcdefgh "));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const text = (letters: string) => `${letters}\n`.repeat(60);

const sizes = { layers: 1, modelWidth: 16, heads: 2 };

const config = (more: RunConfigInput = {}): RunConfigInput => ({
  task: { kind: "text", data },
  model: { kind: "gpt", ...sizes },
  length: 8,
  batchSize: 2,
  steps: 4,
  ...more,
});

const trained = (more: RunConfigInput = {}, events: TrainEvent[] = []) =>
  trainRun(config(more), { directory: run, device, onEvent: (event) => events.push(event) });

const evaluationOf = async (more: RunConfigInput = {}, otherData = false) => {
  const opened = await openModel(run);
  return prepareEvaluation(opened, { config: parseRunConfig({ ...opened.run!.config, ...more }, "test"), otherData });
};

describe("what a run owns", () => {
  it("holds its alphabet: data that were edited or are gone change nothing that is written or exported", async () => {
    await trained();
    const before = await loadRun(run);
    writeFileSync(data, text("ABCDEFGH "));
    const after = await loadRun(run);
    expect(after.tokenizer!.config).toEqual(before.tokenizer!.config);
    rmSync(data);
    const gone = await openModel(run);
    expect(gone.tokenizer!.decode(gone.tokenizer!.encode("bad head"))).toBe("bad head");
    await exportModelSafetensors(gone, join(home, "export"));
    expect(JSON.parse(readFileSync(join(home, "export", "tsformers-tokenizer.json"), "utf8"))).toEqual({
      kind: "character",
      alphabet: "\n abcdefgh",
    });
  });

  it("is found from any folder: the path of its data is absolute from the start", async () => {
    await trained({ task: { kind: "text", data: relative(process.cwd(), data) } });
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8"))).toMatchObject({ task: { data } });
  });

  it("is told from other data: evaluation and training refuse them, unless they were moved or are meant", async () => {
    await trained();
    const moved = join(home, "moved.txt");
    cpSync(data, moved);
    rmSync(data);
    await expect(evaluationOf()).rejects.toThrow(
      `its data are no longer at ${data}; give their present path by --data`,
    );
    await expect(evaluationOf({ task: { kind: "text", data: moved } })).resolves.toBeDefined();

    writeFileSync(data, text("ABCDEFGH "));
    await expect(evaluationOf()).rejects.toThrow("the data are not those that the run was made with");
    await expect(trained({ steps: 6 })).rejects.toThrow("the data are not those that the run was made with");
    const other = await evaluationOf({}, true);
    expect(other.task.tokenizer!.config).toEqual({ kind: "character", alphabet: "\n abcdefgh" });

    const { result } = await trained({ steps: 6, task: { kind: "text", data: moved } });
    expect(result.step).toBe(6);
    expect(JSON.parse(readFileSync(join(run, "config.json"), "utf8"))).toMatchObject({ task: { data: moved } });
  });

  it("refuses a checkpoint of another run", async () => {
    await trained();
    const other = join(home, "other");
    await trainRun(config({ seed: 1 }), { directory: other, device });
    rmSync(join(run, "checkpoints"), { recursive: true });
    cpSync(join(other, "checkpoints"), join(run, "checkpoints"), { recursive: true });
    await expect(loadRun(run)).rejects.toThrow(/holds a run with task .* seed=1", this one has .* seed=0"/);
  });

  it.each([
    ["task.json", "{}", "task.json: name: "],
    ["task.json", "null", "task.json: "],
    ["config.json", "[]", "config.json: "],
    ["config.json", "null", "config.json: "],
    ["config.json", "{", "config.json: expected JSON"],
  ])("names the file that is wrong: %s with %s", async (name, contents, message) => {
    await trained();
    writeFileSync(join(run, name), contents);
    await expect(loadRun(run)).rejects.toThrow(message);
    await expect(trained()).rejects.toThrow(/\.json: .*; put the file back, or remove .*run to start again$/);
  });
});

describe("a start", () => {
  it("that fails leaves no folder, and is refused where folders of others are", async () => {
    await expect(trained({ model: { kind: "gpt", ...sizes, heads: 3 } })).rejects.toThrow("multiple of heads");
    expect(existsSync(run)).toBe(false);
    mkdirSync(join(home, "photos"));
    await expect(trainRun(config(), { directory: home, device })).rejects.toThrow(
      "expected a new folder, or that of a run; this one holds the folder photos",
    );
    expect(existsSync(join(home, "config.json"))).toBe(false);
  });

  it("fails before its first step when an evaluation would, and leaves the folder to another configuration", async () => {
    const steps: number[] = [];
    const long = trainRun(config({ length: 60 }), {
      directory: run,
      device,
      onEvent: (event) => event.kind === "step" && steps.push(event.step),
    });
    await expect(long).rejects.toThrow(/length 60 needs 61 tokens, the valid split has/);
    expect(steps).toEqual([]);
    expect((await trained()).result.ended).toBe("finished");
  });

  it("refuses parts that do not divide the batch, and can be made again with others", async () => {
    await expect(trained({ microBatches: 3 })).rejects.toThrow('"microBatches" must divide the batch of 2 rows, got 3');
    expect(existsSync(join(run, "config.json"))).toBe(false);
    expect((await trained({ microBatches: 2 })).result.step).toBe(4);
  });

  it("never takes a folder whose config.json is not a run's", async () => {
    mkdirSync(run);
    writeFileSync(join(run, "config.json"), '{ "model_type": "gpt2" }');
    await expect(trained()).rejects.toThrow(
      `not a run that goes on; name a new folder, and start from what is there with --from ${run}`,
    );
    expect(readFileSync(join(run, "config.json"), "utf8")).toContain("gpt2");
  });

  it("scores at least a row, however few tokens an evaluation is given", async () => {
    const { result } = await trained({ evalTokens: 3 });
    expect(result.evaluation!.totals.tokens).toBe(8);
  });
});

describe("going on", () => {
  it("makes more steps than a finished run was started with, and says what became of the schedule", async () => {
    await trained();
    const events: TrainEvent[] = [];
    const { result } = await trained({ steps: 7 }, events);
    expect(result).toMatchObject({ ended: "finished", step: 7 });
    const notes = events.flatMap((event) => (event.kind === "note" ? [event.text] : []));
    expect(notes).toEqual([expect.stringMatching(/^7 steps instead of 4: the cosine schedule now spans all of them/)]);
    expect(readMetrics(join(run, "metrics.jsonl")).filter(({ loss }) => loss !== undefined)).toHaveLength(7);
    const before = readFileSync(join(run, "config.json"), "utf8");
    await expect(trained({ steps: 5 })).rejects.toThrow("7 steps are made already");
    await expect(trained({ steps: 9, microBatches: 3 })).rejects.toThrow('"microBatches" must divide');
    expect(readFileSync(join(run, "config.json"), "utf8")).toBe(before);
  });

  it("refuses what would make another run, and takes what would not", async () => {
    await trained();
    await expect(trained({ learningRate: 1 })).rejects.toThrow("learningRate: 0.001 then, 1 now");
    expect((await trained({ keep: 1, evalEvery: 3, evalTokens: 64 })).result.step).toBe(4);
  });

  it("loses no step to an evaluation that throws, and makes it again", async () => {
    const failing = trainRun(config({ steps: 6, evalEvery: 3 }), {
      directory: run,
      device: { ...device, load: failAt(device, 2) },
    });
    await expect(failing).rejects.toThrow("no evaluation today");
    expect(existsSync(join(run, "checkpoints", "step-00000003"))).toBe(true);
    const events: TrainEvent[] = [];
    const { result } = await trained({ steps: 6, evalEvery: 3 }, events);
    expect(result.step).toBe(6);
    expect(events.find(({ kind }) => kind === "resumed")).toMatchObject({ step: 3 });
    const scored = readMetrics(join(run, "metrics.jsonl")).filter((record) => "valid/loss" in record);
    expect(scored.map(({ step }) => step)).toEqual([3, 6]);
  });
});

describe("starting from", () => {
  const more = (settings: RunConfigInput) =>
    trainRun(settings, { directory: join(home, "more"), device }).then(async () => openModel(join(home, "more")));
  const rest = { length: 8, batchSize: 2, steps: 2, learningRate: 1e-4 };

  it("a run takes its model, tokenizer and parameters, and goes on without it", async () => {
    const { result } = await trained({ model: { kind: "gpt", ...sizes, position: { kind: "rotary" } } });
    const other = join(home, "other.txt");
    writeFileSync(other, text("hgfedcba "));
    const task = { kind: "text", data: other };
    const opened = await more({ from: run, task, ...rest });
    expect(opened.run!.config).toMatchObject({ from: run, model: { modelWidth: 16, position: { kind: "rotary" } } });
    expect(opened.tokenizer!.config).toEqual((await openModel(run)).tokenizer!.config);
    expect(farthest(opened.params, result.params)).toBeGreaterThan(0);
    expect(farthest(opened.params, result.params)).toBeLessThan(1e-3);
    rmSync(run, { recursive: true });
    expect((await more({ from: run, task, ...rest, steps: 3 })).run!.step).toBe(3);
  });

  it("a checkpoint is fine-tuned in its own form, and exported as it came", async () => {
    await trained();
    const [checkpoint, again] = [join(home, "gpt2"), join(home, "again")];
    await exportModelSafetensors(await openModel(run), checkpoint);
    const opened = await more({ from: checkpoint, task: { kind: "text", data }, ...rest });
    const before = await openModel(checkpoint);
    expect(farthest(opened.params, before.params)).toBeLessThan(1e-3);
    expect(await exportModelSafetensors(opened, again)).toBe("hugging-face");
    const read = await openModel(again);
    expect(farthest(read.params, opened.params)).toBe(0);
    expect(read.checkpoint!.config).toMatchObject({ model_type: "gpt2", n_embd: 16 });
    expect(read.tokenizer!.config).toEqual(before.tokenizer!.config);
    await expect(trainRun(config(), { directory: checkpoint, device })).rejects.toThrow("start from what is there");
  });

  it("refuses another model, and text that a checkpoint has no tokenizer for", async () => {
    await trained();
    const model = { kind: "gpt", layers: 2, modelWidth: 16, heads: 2 };
    await expect(more({ from: run, model, task: { kind: "text", data }, ...rest })).rejects.toThrow(
      /the model of this run differs from the one it starts from: it needs blocks\.1\..* which the other has not/,
    );
    const checkpoint = join(home, "gpt2");
    await exportModelSafetensors(await openModel(run), checkpoint);
    rmSync(join(checkpoint, "tsformers-tokenizer.json"));
    await expect(more({ from: checkpoint, task: { kind: "text", data }, ...rest })).rejects.toThrow(
      "the meaning of its tokens is unknown",
    );
  });
});

/** The largest difference between two trees of one form. */
function farthest(a: unknown, b: unknown): number {
  const [x, y] = [flatten(a, isNdArray), flatten(b, isNdArray)];
  expect(x.paths).toEqual(y.paths);
  const differences = x.leaves.map(({ data }, i) => {
    const other = y.leaves[i]!.data as Float32Array;
    return (data as Float32Array).reduce((most, value, j) => Math.max(most, Math.abs(value - other[j]!)), 0);
  });
  return Math.max(...differences);
}

/** Loads programs until the one of this number, which fails: the first is that of a step, the second that of an evaluation. */
function failAt(of: Device, number: number): Device["load"] {
  let loaded = 0;
  return async (model) => {
    if (++loaded === number) throw new Error("no evaluation today");
    return of.load(model);
  };
}
