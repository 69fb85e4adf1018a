import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type RunRecord } from "tsformers/store";
import { type Bench, compareRow, median } from "./bench.ts";

const count = 2000;

/** The index of runs: what `tsformers runs` and `advise` wait for. */
export const store: Bench = {
  name: "store",
  about: `an index of ${count} runs: opening, listing, filtering, adding`,
  run: async ({ rounds }) => {
    const folder = mkdtempSync(join(tmpdir(), "tsformers-bench-store-"));
    try {
      const runs = Array.from({ length: count }, (_, i) => runRecord(i));
      const one = await openStore(folder);
      const addAll = await timed(() => one.add(runs));
      // The first is measured, too, but for what the processor learns in it.
      await openStore(folder);
      const measured: Readonly<Record<"open" | "list" | "filter" | "settings" | "add", number>>[] = [];
      for (let round = 0; round < Math.max(5, rounds); round++) {
        const open = await timed(() => openStore(folder));
        const list = await timed(() => one.list());
        const filter = await timed(() =>
          one.list({
            match: { task: "task-3", mixer: ["softmax", "performer"] },
            where: [{ column: "loss", is: "<", value: 0.9 }],
            sort: "score",
            limit: 20,
          }),
        );
        const settings = await timed(() =>
          one.list({ where: [{ column: "config.model.features", is: "=", value: 16 }], sort: "seconds", limit: 20 }),
        );
        const add = await timed(() => one.add(runs[round]!));
        measured.push({ open, list, filter, settings, add });
      }
      const row = (metric: string, ms: number) =>
        compareRow(`store ${count} runs`, metric, "ms", "lower", ms, null, null);
      const middle = (name: keyof (typeof measured)[number]) => median(measured.map((one) => one[name]));
      return [
        row("open, all in it already (target 100)", middle("open")),
        row("list all (target 100)", middle("list")),
        row("filter and sort (target 100)", middle("filter")),
        row("filter by a setting (target 100)", middle("settings")),
        row("add one", middle("add")),
        row("add all", addAll),
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function timed(work: () => unknown): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

const mixers = ["softmax", "performer", "linear", "lsh", "local"];

/** A run with as much in it as real ones have. */
function runRecord(i: number): RunRecord {
  const mixer = mixers[i % mixers.length]!;
  const model = { kind: "gpt", mixer: { kind: mixer }, layers: 4, modelWidth: 256, heads: 4, features: 2 ** (i % 7) };
  const choice = (kind: string) => ({ kind, first: 0.9, second: 0.99, third: 0.1 });
  return {
    folder: `run-${i}-0123abcd`,
    comparison: `compare-${i % 20}`,
    task: `task-${i % 10}`,
    taskLabel: `task-${i % 10} · vocabulary=64`,
    taskSettings: { vocabulary: 64, pairs: 8 },
    objective: "tokens",
    variant: `gpt · ${mixer}`,
    model: "gpt",
    mixer,
    pattern: "full",
    position: "learned",
    depth: "stack",
    layers: 4,
    modelWidth: 256,
    heads: 4,
    trainLength: 256,
    batchSize: 16,
    learningRate: 1e-3,
    parameters: 3_000_000 + i,
    causal: true,
    cpu: "a processor",
    cores: 2,
    memoryBytes: 8e9,
    device: "cpu",
    version: "0.1.0",
    finishedAt: new Date(1.7e12 + i * 6e4).toISOString(),
    config: {
      task: choice("task"),
      model,
      length: 256,
      steps: 1000,
      batchSize: 16,
      optimiser: choice("adamw"),
      learningRate: 1e-3,
      schedule: choice("cosine"),
      clip: 1,
      labelSmoothing: 0,
      ema: 0,
      evalEvery: 100,
      evalTokens: 8192,
      patience: 0,
      checkpointEvery: 200,
      keep: 2,
      seed: i,
      device: "cpu",
    },
    seed: i,
    pretrained: false,
    steps: 1000,
    tokens: 4_096_000,
    stateBytes: 2 ** 21,
    flopsPerToken: 1.8e7,
    loss: (i % 97) / 97,
    metric: "accuracy",
    metricLabel: "accuracy",
    baseline: 0.17,
    scoredRows: 512,
    score: 1 - (i % 97) / 97,
    better: "higher",
    trainTokensPerSecond: 10_000 + i,
    evalTokensPerSecond: 30_000 + i,
    peakBytes: 4e8 + i,
    seconds: 400 + i,
    metrics: { loss: (i % 97) / 97, accuracy: 1 - (i % 97) / 97, exactAccuracy: 0.5 },
    byLength: [256, 512, 1024, 2048].map((length) => ({
      length,
      metrics: { loss: i / length, accuracy: 1 - i / length, exactAccuracy: 0.25 },
    })),
  };
}
