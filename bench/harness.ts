import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { adamw, constantRate, gpt, train } from "tsformers";
import { cellsOf, parseCompareSettings, runComparison } from "tsformers/compare";
import { tokenObjective } from "tsformers/objectives";
import { copyTask } from "tsformers/tasks";
import { type Bench, compareRow, median, type Row } from "./bench.ts";

type Size = { readonly name: string; readonly layers: number; readonly modelWidth: number; readonly length: number };

const sizes: readonly Size[] = [
  { name: "width 64, 2 layers, batch 16 × 64", layers: 2, modelWidth: 64, length: 64 },
  { name: "width 128, 4 layers, batch 16 × 128", layers: 4, modelWidth: 128, length: 128 },
];
const heads = 4;
const batchSize = 16;
/** Steps before this one warm caches up, on both sides. */
const firstCounted = 20;
const steps = 120;

/** What comparing costs: a run of `tsformers compare`, with its process, metrics and messages, against the training loop by itself. */
export const harness: Bench = {
  name: "harness",
  about: "a run of a comparison against the bare training loop",
  run: async ({ rounds }) => {
    const rows: Row[] = [];
    for (const size of sizes) {
      const measured = [];
      for (let round = 0; round < Math.max(3, rounds); round++) {
        measured.push({ bare: await bareMs(size), compared: await comparedMs(size) });
      }
      const [bare, compared] = [median(measured.map((one) => one.bare)), median(measured.map((one) => one.compared))];
      rows.push(compareRow(size.name, "step of a comparison", "ms", "lower", compared, bare, "the bare training loop"));
    }
    return rows;
  },
};

/** Milliseconds of a step, between two steps of which the time is known. */
function stepMs(times: ReadonlyMap<number, number>): number {
  const known = [...times.keys()].filter((step) => step >= firstCounted);
  const [first, last] = [Math.min(...known), Math.max(...known)];
  return (times.get(last)! - times.get(first)!) / (last - first);
}

async function bareMs({ layers, modelWidth, length }: Size): Promise<number> {
  const device = await openCpu();
  const times = new Map<number, number>();
  const task = copyTask({ length });
  const model = gpt({ vocabularySize: task.vocabularySize, layers, modelWidth, heads, length });
  try {
    await train({
      objective: tokenObjective(model),
      task,
      view: task.views.next,
      optimiser: adamw(),
      schedule: constantRate(1e-3),
      clipNorm: 1,
      steps,
      batchSize,
      length,
      device,
      onEvent: (event) => event.kind === "step" && times.set(event.step, performance.now()),
    });
    return stepMs(times);
  } finally {
    await device.close();
  }
}

async function comparedMs({ layers, modelWidth, length }: Size): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "tsformers-bench-harness-"));
  const times = new Map<number, number>();
  const model = { kind: "gpt", layers, modelWidth, heads };
  const config = { task: { kind: "copy" }, model, length, steps, batchSize, evalEvery: steps };
  const shared = {
    settings: config,
    standard: () => ({}),
    given: new Map(),
    searched: [],
    flags: [],
    source: "bench",
    nameOf: String,
  };
  try {
    const settings = parseCompareSettings({ seeds: 1, multiples: [1], testTokens: 1024 }, "bench");
    await runComparison(cellsOf(shared, []).cells, settings, {
      folder,
      command: "bench",
      settings: {},
      signal: new AbortController().signal,
      onEvent: (event) => {
        if (event.kind === "message" && event.message.kind === "step") times.set(event.message.step, performance.now());
      },
    });
    return stepMs(times);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
