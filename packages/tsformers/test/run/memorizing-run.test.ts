import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flatten, isNdArray, type NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { startingParams } from "../../src/run/start-from.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-memorizing-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const settings = (entries: number, steps = 4): RunConfigInput => ({
  task: { kind: "text" },
  length: 8,
  model: {
    kind: "memorizing-transformer",
    layers: 2,
    modelWidth: 16,
    heads: 2,
    memoryLength: 8,
    memoryEntries: entries,
    memoryNeighbours: 3,
  },
  batchSize: 4,
  steps,
  checkpointEvery: 3,
  evalTokens: 64,
});

const arraysOf = (params: unknown): Map<string, readonly number[]> => {
  const { leaves, paths } = flatten(params, isNdArray);
  return new Map(paths.map((path, i) => [path, (leaves[i] as NDArray).toNumbers()]));
};

it("a run that was interrupted ends with the same bytes, memories included, and writes", async () => {
  const [whole, parts] = [join(home, "whole"), join(home, "parts")];
  const { result } = await trainRun(settings(24, 6), { directory: whole, device });
  const controller = new AbortController();
  const onEvent = ({ kind, ...event }: { readonly kind: string; readonly step?: number }) => {
    if (kind === "step" && event.step === 4) controller.abort();
  };
  const first = await trainRun(settings(24, 6), {
    directory: parts,
    device,
    signal: controller.signal,
    onEvent,
  } as never);
  expect(first.result.ended).toBe("interrupted");
  const again = await trainRun(settings(24, 6), { directory: parts, device });
  expect(arraysOf(again.result.params)).toEqual(arraysOf(result.params));

  // More tokens than local attention sees and the memory holds.
  const generator = generatorOf(await openModel(whole), device);
  let text = "";
  for await (const piece of generator.text("Ada ", { count: 48, temperature: 0 })) text += piece;
  await generator.release();
  expect(text).toHaveLength(48);
});

it("a run with a memory starts from one without, with a scale and a gate that are new; not the other way", async () => {
  const [plain, own] = [join(home, "plain"), join(home, "own")];
  await trainRun(settings(0), { directory: plain, device });
  const source = await openModel(plain);
  const run = await prepareRun(parseRunConfig(settings(24), "test"));
  const [theirs, found] = [arraysOf(source.params), arraysOf(startingParams(source, run).params)];
  const added = [...found.keys()].filter((path) => !theirs.has(path));
  expect(added.map((path) => [path, found.get(path)])).toEqual([
    ["blocks.1.mixer.scale", [1, 1]],
    ["blocks.1.mixer.gate", [0, 0]],
  ]);
  for (const [path, numbers] of theirs) expect(found.get(path), path).toEqual(numbers);

  await trainRun(settings(24), { directory: own, device });
  const back = await prepareRun(parseRunConfig(settings(0), "test"));
  const opened = await openModel(own);
  expect(() => startingParams(opened, back).params).toThrow("it has no blocks.1.mixer.scale, which the other has");
});

it("what does not fit is said in a line before anything is written", async () => {
  const directory = join(home, "wrong");
  const model = { ...settings(24).model, memoryLength: 32 };
  await expect(trainRun({ ...settings(24), model } as never, { directory, device })).rejects.toThrow(
    "knn-memory: entries must be at least memoryLength, got entries 24 and memoryLength 32",
  );
});
