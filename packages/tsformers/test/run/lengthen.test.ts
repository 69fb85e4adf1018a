import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, evaluate, flatten, isNdArray, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import type { RunConfigInput } from "../../src/run/config.ts";
import { lengthen } from "../../src/run/lengthen.ts";
import { type OpenedModel, openModel } from "../../src/run/open-model.ts";
import { trainRun } from "../../src/run/train-run.ts";

let home: string;
let device: Device;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "tsformers-lengthen-"));
  device = await openDevice("cpu");
});
afterAll(async () => {
  await device.close();
  rmSync(home, { recursive: true, force: true });
});

const table = (rows: number, first = 0): NDArray =>
  ndarray(
    Array.from({ length: 2 * rows }, (_, i) => first + i),
    [rows, 2],
  );

describe("lengthen", () => {
  it("tiles positions, copies global projections and keeps the first segments", () => {
    const query = table(2, 50);
    const theirs = { "positions.weight": table(3), "blocks.0.mixer.query.weight": query, "types.weight": table(2, 9) };
    const wanted = {
      "positions.weight": table(7),
      "blocks.0.mixer.globalQuery.weight": table(2),
      "types.weight": table(1),
    };
    const { arrays, notes } = lengthen(new Map(Object.entries(theirs)), new Map(Object.entries(wanted)));
    expect(arrays.get("positions.weight")!.shape).toEqual([7, 2]);
    expect(arrays.get("positions.weight")!.toNumbers()).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1]);
    expect(arrays.get("types.weight")!.toNumbers()).toEqual([9, 10]);
    expect(arrays.get("blocks.0.mixer.globalQuery.weight")).toBe(query);
    expect(notes).toEqual([
      "positions tiled from 3 to 7",
      "global projections of 1 layer copied from the local ones",
      "1 of 2 segments kept",
    ]);
  });

  it("leaves alone what fits, what is wider, and a table that would be shorter", () => {
    const theirs = new Map([
      ["positions.weight", table(3)],
      ["tokens.weight", table(3)],
      ["types.weight", table(1)],
    ]);
    for (const wanted of [
      [["positions.weight", table(3)]],
      [["positions.weight", table(2)]],
      [["positions.weight", ndarray([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [4, 3])]],
      [["tokens.weight", table(4)]],
      [["types.weight", table(2)]],
      [["blocks.0.mixer.globalKey.weight", table(2)]],
    ] as [string, NDArray][][])
      expect(lengthen(theirs, new Map(wanted))).toEqual({ arrays: new Map(), notes: [] });
  });
});

const sizes = { layers: 2, modelWidth: 16, heads: 2 };
const bert = { kind: "bert", ...sizes, initializerRange: 0.3 };
const dense = { task: { kind: "majority", symbols: 5 }, objective: { kind: "masked" }, model: bert, length: 8 };

async function run(name: string, settings: RunConfigInput): Promise<{ opened: OpenedModel; notes: string[] }> {
  const notes: string[] = [];
  const directory = join(home, name);
  const config = { steps: 1, batchSize: 2, learningRate: 1e-9, optimiser: { kind: "sgd" }, ...settings };
  await trainRun(config as RunConfigInput, {
    directory,
    device,
    onEvent: (event) => event.kind === "note" && notes.push(event.text),
  });
  return { opened: await openModel(directory), notes };
}

const tokens = ndarray(Int32Array.from([1, 2, 3, 4, 5, 1, 2, 2]), [1, 8], "int32");

async function logitsOf({ model, params }: OpenedModel, input = tokens): Promise<number[]> {
  const forward = (weights: never, tokens: Tensor) =>
    model.category === "encoder" ? model.apply(weights, { tokens }, evaluation).logits : undefined;
  return ((await evaluate(forward as never, device, params as never, input as never)) as NDArray).toNumbers();
}

function farthest(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe("a run that starts from a dense one", () => {
  it("is a Longformer that gives what BERT gave, where its window covers the row", async () => {
    const { opened } = await run("bert", dense);
    const { opened: long, notes } = await run("long", {
      objective: dense.objective,
      from: join(home, "bert"),
      model: { kind: "longformer", ...sizes, window: 16 },
      length: 32,
    });
    expect(notes).toEqual([
      `from ${join(home, "bert")}: positions tiled from 8 to 32; global projections of 2 layers copied from the local ones; 1 of 2 segments kept`,
    ]);
    expect(long.length).toBe(32);
    const before = await logitsOf(opened);
    // Norms add 1e-5 in the one, 1e-12 in the other.
    expect(farthest(await logitsOf(long), before)).toBeLessThan(1e-3);
    expect(Math.max(...before.map(Math.abs))).toBeGreaterThan(0.1);
  });

  it("is a BigBird that does the same", async () => {
    const { opened } = await run("bert", dense);
    const { opened: long, notes } = await run("big", {
      objective: dense.objective,
      from: join(home, "bert"),
      model: { kind: "bigbird", ...sizes, block: 4, random: 1 },
      length: 32,
    });
    expect(notes.join()).toMatch(/: positions tiled from 8 to 32$/);
    // Both blocks of a short row see all; GELU is computed by tanh.
    expect(farthest(await logitsOf(long), await logitsOf(opened))).toBeLessThan(1e-2);
  });

  it("is a BERT with more positions, exactly, and goes on by itself", async () => {
    const { opened } = await run("bert", dense);
    const { opened: longer } = await run("longer", { ...dense, from: join(home, "bert"), length: 32 });
    expect(farthest(await logitsOf(longer), await logitsOf(opened))).toBeLessThan(1e-5);
    rmSync(join(home, "bert"), { recursive: true });
    const { notes } = await run("longer", { ...dense, from: join(home, "bert"), length: 32, steps: 2 });
    expect(notes.join()).not.toContain("tiled");
  });

  it("is none where width, layers, vocabulary or length do not fit, in one line", async () => {
    await run("bert", dense);
    const from = join(home, "bert");
    const longer =
      (model: object, more: object = {}) =>
      () =>
        run("none", { ...dense, from, length: 32, model: { kind: "longformer", ...sizes, ...model }, ...more });
    for (const [attempt, reason] of [
      [longer({ modelWidth: 32 }), /needs \S+ \[.*\], which the other has as \[/],
      [longer({ layers: 3 }), /needs blocks\.2\..* which the other has not/],
      [longer({ layers: 1 }), /has no blocks\.1\..*, which the other has/],
      [longer({}, { task: { kind: "majority", symbols: 9 } }), /has 7 tokens, task majority 11/],
      [longer({}, { length: 4 }), /needs positions\.weight \[4,16\], which the other has as \[8,16\]/],
    ] as const) {
      const { message } = await attempt().then(
        () => new Error("it went on"),
        (error: Error) => error,
      );
      expect(message).toMatch(reason);
      expect(message).not.toContain("\n");
    }
  });
});

it("windows and rows grow in stages, and parameters carry over exactly", async () => {
  const stage = (name: string, window: number, length: number, more: object = {}) =>
    run(name, {
      task: { kind: "majority", symbols: 5 },
      objective: { kind: "next" },
      model: { kind: "gpt", ...sizes, position: { kind: "alibi" }, mixer: { kind: "longformer", window, globals: [] } },
      length,
      ...more,
    });
  const { opened: first } = await stage("stage-1", 4, 8, { learningRate: 1e-2 });
  const { opened: second } = await stage("stage-2", 8, 16, { from: join(home, "stage-1"), learningRate: 1e-30 });
  const [before, after] = [first, second].map(({ params }) => flatten(params, isNdArray));
  expect(after!.paths).toEqual(before!.paths);
  after!.leaves.forEach((leaf, i) => {
    expect(leaf.toNumbers()).toEqual(before!.leaves[i]!.toNumbers());
  });
  expect(second.run!.config).toMatchObject({ length: 16, model: { mixer: { window: 8 } } });
});
