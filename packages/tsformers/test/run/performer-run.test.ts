import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flatten, isNdArray, type NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { startingParams } from "../../src/run/start-from.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "tsformers-performer-"));
  await trainRun(settings({ kind: "softmax" }), { directory: join(home, "softmax"), device });
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const settings = (mixer: { kind: string; features?: number }, steps = 2): RunConfigInput => ({
  task: { kind: "copy" },
  length: 16,
  model: { kind: "gpt", layers: 2, modelWidth: 16, heads: 2, mixer },
  batchSize: 2,
  steps,
  evalTokens: 32,
});
const prepared = (mixer: { kind: string; features?: number }) => prepareRun(parseRunConfig(settings(mixer), "test"));

const arraysOf = (params: unknown): Map<string, readonly number[]> => {
  const { leaves, paths } = flatten(params, isNdArray);
  return new Map(paths.map((path, i) => [path, (leaves[i] as NDArray).toNumbers()]));
};

it("a Performer takes over all parameters of softmax attention, draws features of its own, and says so", async () => {
  const source = await openModel(join(home, "softmax"));
  const run = await prepared({ kind: "performer", features: 6 });
  const [theirs, found] = [arraysOf(source.params), arraysOf(startingParams(source, run).params)];
  for (const [path, numbers] of theirs) expect(found.get(path), path).toEqual(numbers);
  const added = [...found.keys()].filter((path) => !theirs.has(path));
  expect(added.length).toBeGreaterThan(0);
  expect(added.filter((path) => !path.startsWith("trainingState."))).toEqual([]);

  const notes: string[] = [];
  const onEvent = (event: { readonly kind: string; readonly text?: string }) => {
    if (event.kind === "note") notes.push(event.text!);
  };
  const directory = join(home, "performer");
  const { from, ...own } = { from: join(home, "softmax"), ...settings({ kind: "performer", features: 6 }) };
  await trainRun({ from, ...own }, { directory, device, onEvent });
  expect(notes).toEqual([
    `from ${from}: its parameters are taken over; what layers of this model keep beside them, such as drawn features, is new`,
  ]);
});

it("drawn features go on in a run that keeps as many, are new where there are others, and stay behind where there are none", async () => {
  const directory = join(home, "drawn");
  await trainRun(settings({ kind: "performer", features: 6 }), { directory, device });
  const source = await openModel(directory);
  const same = startingParams(source, await prepared({ kind: "performer", features: 6 })).params;
  expect(arraysOf(same)).toEqual(arraysOf(source.params));
  const more = arraysOf(startingParams(source, await prepared({ kind: "performer", features: 7 })).params);
  expect([...more].find(([path]) => path.endsWith("matrix"))?.[1]).toHaveLength(7 * 8);
  const softmax = arraysOf(startingParams(source, await prepared({ kind: "softmax" })).params);
  expect([...softmax.keys()].filter((path) => path.startsWith("trainingState."))).toEqual([]);
});

it("parameters that do not fit are said in a line", async () => {
  const source = await openModel(join(home, "softmax"));
  const run = await prepared({ kind: "rfa" });
  expect(() => startingParams(source, run)).toThrow(
    /the model of this run differs from the one it starts from: it needs blocks\.0\.mixer\.own\.deviation \[2,8\], which the other has not/,
  );
});
