import type { Baseline } from "../../src/compare/baselines.ts";
import type {
  CellAbout,
  CellCosts,
  CompareRun,
  Comparison,
  LengthFigures,
  RunResult,
  TaskAbout,
} from "../../src/compare/results.ts";
import { parseRunConfig, type RunConfig } from "../../src/run/config.ts";

/** Variants with the settings that tell them apart. */
const variants = [
  { label: "gpt · softmax", model: { kind: "gpt" }, quality: 0.1 },
  { label: "gpt · performer · mixer.features=32", model: { kind: "gpt", mixer: "performer" }, quality: 0.4 },
  {
    label: "gpt · local | routing, every second layer",
    model: { kind: "gpt", mixer: ["local", "routing"], layers: 2 },
  },
  { label: "gpt · linear", model: { kind: "gpt", mixer: "linear" }, quality: 0.6 },
  { label: "=llama", model: { kind: "llama" }, quality: 0.2 },
] as const;

const lengths = [64, 128, 256, 512];

const environment = {
  cpu: 'A "fast" processor, 3 GHz',
  cores: 2,
  memoryBytes: 8e9,
  platform: "linux x64",
  node: "20.19.0",
  tsformers: "0.1.0",
  onnxruntime: "1.30.0",
};

function taskAbout(label: string, name: string, ranking: string): TaskAbout {
  const baseline: Baseline = { name: "most frequent class", metrics: { loss: 2.3, accuracy: 0.1 } };
  return {
    label,
    name,
    title: name,
    objective: "tokens",
    metrics: [
      { name: "loss", label: "loss (nats per token)", better: "lower" },
      { name: "accuracy", label: "accuracy", better: "higher" },
    ],
    ranking,
    trainLength: 64,
    lengths,
    baselines: [baseline],
    example: { view: "next", input: "a b→c", scored: "1 of 3 positions" },
  };
}

function configOf(task: string, model: unknown, seed: number): RunConfig {
  return parseRunConfig({ task, model, seed, length: 64, steps: 50, batchSize: 4 }, "fixture");
}

function resultOf(quality: number, seed: number): RunResult {
  const [loss, accuracy] = [quality + seed / 100, 1 - quality - seed / 100];
  return {
    parameters: 12_345,
    steps: 50,
    tokens: 50 * 4 * 64,
    metrics: { loss, accuracy },
    byLength: lengths.map(
      (length, i): LengthFigures =>
        length === 512
          ? { length, missing: "rows of 512, and\nthe model has 256 positions" }
          : { length, metrics: { loss: loss * (i + 1), accuracy: accuracy / (i + 1) } },
    ),
    trainCurve: [
      { step: 1, loss: 3 },
      { step: 50, loss },
    ],
    validCurve: [{ step: 50, loss }],
    trainTokensPerSecond: 12_000.5,
    evalTokensPerSecond: 34_000,
    peakBytes: 123e6,
    seconds: 4.25,
  };
}

/**
 * A comparison as `compare` writes it: two tasks, five variants, three seeds; a failed run, missing lengths, self-pretrained runs on the second task, and
 * labels that a careless export would break.
 */
export function comparisonFixture(options: { readonly name?: string; readonly finishedAt?: string } = {}): Comparison {
  const { name = "first", finishedAt = "2026-01-02T03:04:05.000Z" } = options;
  const tasks = [taskAbout("copy", "copy", "accuracy"), taskAbout("recall · pairs=8", "recall", "loss")];
  const runs: CompareRun[] = [];
  const cells: CellAbout[] = [];
  const costs: CellCosts[] = [];
  for (const task of tasks) {
    for (const [i, variant] of variants.entries()) {
      const quality = "quality" in variant ? variant.quality : 0.5;
      for (const pretrained of task.name === "recall" ? [false, true] : [false]) {
        for (const seed of [0, 1, 2]) {
          const fails = variant.label === "gpt · linear" && seed === 1 && !pretrained;
          const result = resultOf(pretrained ? quality / 2 : quality, seed);
          const id = `${task.name}-${i}-seed${seed}${pretrained ? "-pretrained" : ""}`;
          runs.push({
            id,
            task: task.label,
            variant: variant.label,
            seed,
            pretrained,
            directory: `runs/${id}-${name}`,
            config: configOf(task.name, variant.model, seed),
            outcome: fails ? { failure: "killed from outside" } : { result, reused: seed === 0 },
          });
        }
      }
      cells.push({
        task: task.label,
        variant: variant.label,
        parameters: 12_345,
        layers: 4,
        modelWidth: 256,
        causal: true,
        flopsPerToken: 6 * 12_345,
        ...(i !== 2 && { stateBytes: lengths.map((length) => ({ length, bytes: length * 2048 })) }),
        unequal: i === 1 ? ["1.32 × the parameters of most"] : [],
        settings: {},
      });
      costs.push({
        task: task.label,
        variant: variant.label,
        steps: lengths.map((length) =>
          length === 512 && i === 3
            ? { length, missing: "killed from outside, perhaps for lack of memory" }
            : { length, rows: 1, tokensPerSecond: 1e6 / length, peakBytes: length * 1e5, flopsPerToken: 1e5 + length },
        ),
      });
    }
  }
  return {
    format: "tsformers-comparison",
    version: 2,
    title: "Five variants on copy and recall",
    command: "tsformers compare --vary 'a|b'",
    settings: {},
    startedAt: "2026-01-02T03:00:00.000Z",
    finishedAt,
    complete: true,
    environment,
    budget: { kind: "steps", amount: 50 },
    seeds: 3,
    tasks,
    variants: variants.map(({ label }) => label),
    cells,
    runs,
    costs,
    trials: [],
  };
}
