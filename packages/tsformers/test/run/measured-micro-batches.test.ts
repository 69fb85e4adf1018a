import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Device, flatten, isNdArray } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { RunConfigInput } from "../../src/run/config.ts";
import { type ChooseMicroBatches, measuredMicroBatches } from "../../src/run/measured-micro-batches.ts";
import { type TrainRunOptions, trainRun } from "../../src/run/train-run.ts";
import type { Timer } from "../../src/train/micro-batch-trial.ts";

let device: Device;
let home: string;
let data: string;
beforeAll(async () => {
  device = await openDevice("cpu");
});
afterAll(() => device.close());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-cut-"));
  data = join(home, "data.txt");
  writeFileSync(data, Array.from({ length: 6000 }, (_, i) => "abcdefgh\n"[(i * i * 7 + (i >> 3)) % 9]).join(""));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A run of which two steps are made. Its batch of 8 × 256 tokens may be cut into 1, 2 (as usual) or 4 parts. */
const trained = async (name: string, more: RunConfigInput, options: Partial<TrainRunOptions> = {}) => {
  const config: RunConfigInput = {
    task: { kind: "text", data },
    model: { kind: "gpt", layers: 1, modelWidth: 8, heads: 2 },
    length: 256,
    batchSize: 8,
    steps: 500,
    evalTokens: 256,
    ...more,
  };
  const { result } = await trainRun(config, { directory: join(home, name), device, pauseAt: 2, ...options });
  return Buffer.concat(flatten(result.params, isNdArray).leaves.map(({ data: { buffer } }) => Buffer.from(buffer)));
};

const record = (name: string) => join(home, name, "micro-batches.json");

it("a run that goes on takes the cut that it began with, and so ends with the same bytes", async () => {
  const whole = await trained("two", { microBatches: 4 });
  expect(whole.equals(await trained("usual", {}))).toBe(false);
  expect(existsSync(record("two")) || existsSync(record("usual"))).toBe(false);

  let asked = 0;
  const chooseMicroBatches: ChooseMicroBatches = async () => [4, 1][asked++];
  await trained("resumed", {}, { chooseMicroBatches, pauseAt: 1 });
  expect(JSON.parse(readFileSync(record("resumed"), "utf8"))).toEqual({ microBatches: 4 });
  expect(whole.equals(await trained("resumed", {}, { chooseMicroBatches }))).toBe(true);
  expect(asked).toBe(1);

  // What is given wins over what was measured, and nobody is asked.
  expect((await trained("given", { microBatches: 4 }, { chooseMicroBatches })).equals(whole)).toBe(true);
  expect(asked).toBe(1);
});

it("a damaged record stops the run instead of changing its sums", async () => {
  const chooseMicroBatches: ChooseMicroBatches = async () => 4;
  await trained("run", {}, { chooseMicroBatches, pauseAt: 1 });
  writeFileSync(record("run"), "{");
  await expect(trained("run", {}, { chooseMicroBatches })).rejects.toThrow("micro-batches.json");
  rmSync(join(home, "run", "checkpoints"), { recursive: true });
  await trained("run", {}, { pauseAt: 1 });
  expect(existsSync(record("run"))).toBe(false);
});

it("cuts are timed at the first use; later runs of the same step read what was found", async () => {
  const folder = join(home, "cache");
  // Five rounds of the usual cut, 2, and of 4 and 1 parts, in turn; the fastest step of each counts.
  const times = [70, 90, 100, 60, 55, 100, 65, 90, 100, 65, 90, 100, 65, 90, 100];
  let timed = 0;
  const timer: Timer = async (action) => {
    await action();
    return times[timed++ % times.length]!;
  };
  const chooseMicroBatches = measuredMicroBatches({ folder, timer });
  const notes: string[] = [];
  const onEvent: TrainRunOptions["onEvent"] = (event) => event.kind === "note" && notes.push(event.text);
  await trained("first", {}, { chooseMicroBatches, onEvent });
  expect(JSON.parse(readFileSync(record("first"), "utf8"))).toEqual({ microBatches: 4 });
  expect(notes).toEqual([
    "a batch is worked through in 4 parts; a step by the number of parts took 1: 100 ms, 2: 60 ms, 4: 55 ms",
  ]);
  expect(timed).toBe(15);

  await trained("second", {}, { chooseMicroBatches });
  expect(JSON.parse(readFileSync(record("second"), "utf8"))).toEqual({ microBatches: 4 });
  expect(timed).toBe(15);

  // Another step is another program; a damaged file is as good as none.
  await trained("wider", { model: { kind: "gpt", layers: 1, modelWidth: 16, heads: 2 } }, { chooseMicroBatches });
  expect(timed).toBe(30);
  for (const name of readdirSync(folder)) writeFileSync(join(folder, name), "{");
  await trained("third", {}, { chooseMicroBatches });
  expect(timed).toBe(45);

  // Short runs do not pay for a trial.
  await trained("short", { steps: 499 }, { chooseMicroBatches });
  expect(timed).toBe(45);
  expect(existsSync(record("short"))).toBe(false);
});
