import type {
  CellAbout,
  CompareRun,
  Comparison,
  LengthFigures,
  StepCost,
  TaskAbout,
} from "../../src/compare/results.ts";
import type { Choice } from "../../src/run/catalogue.ts";
import { parseRunConfig } from "../../src/run/config.ts";

/** What a made-up variant scores and costs. */
export type Made = {
  readonly label: string;
  readonly model?: Choice;
  /** The ranking metric under each seed, by task; "failed" is a run that did. */
  readonly scores?: Readonly<Record<string, readonly (number | "failed")[]>>;
  /** The same after training on the task's inputs. */
  readonly pretrained?: Readonly<Record<string, readonly number[]>>;
  /** The ranking metric at other lengths, of all seeds, or why it is missing, by task. */
  readonly byLength?: Readonly<Record<string, Readonly<Record<number, number | string>>>>;
  /** Tokens per second and bytes of a step, by length, or why it was not measured. */
  readonly steps?: Readonly<Record<number, readonly [tokensPerSecond: number, peakBytes: number] | string>>;
  readonly parameters?: number;
  /** Rows of each evaluation, of one answer each. */
  readonly rows?: number;
  readonly stateBytes?: number;
  readonly unequal?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
};

const example = { view: "next", input: "a b c", scored: "each of the 3 next tokens" } as const;

/** Characters of a text: ranked by bits per character. */
export const text: TaskAbout = {
  label: "text",
  name: "text",
  title: "Text",
  objective: "language-model",
  metrics: [
    { name: "loss", label: "loss (nats per token)", better: "lower" },
    { name: "bitsPerCharacter", label: "bits per character", better: "lower" },
  ],
  ranking: "bitsPerCharacter",
  trainLength: 512,
  lengths: [512, 1024, 2048, 4096],
  baselines: [{ name: "unigram", metrics: { loss: 3.05, bitsPerCharacter: 4.4 } }],
  example,
};

/** Recall of values by keys: ranked by accuracy. */
export const recall: TaskAbout = {
  ...text,
  label: "recall · pairs=16",
  name: "recall",
  title: "Associative recall",
  metrics: [
    { name: "loss", label: "loss (nats per token)", better: "lower" },
    { name: "tokenAccuracy", label: "token accuracy", better: "higher" },
  ],
  ranking: "tokenAccuracy",
  baselines: [{ name: "unigram", metrics: { loss: 2.77, tokenAccuracy: 0.0625 } }],
};

/** A class for each row. */
export const listops: TaskAbout = {
  ...text,
  label: "listops",
  name: "listops",
  title: "ListOps",
  metrics: [
    { name: "loss", label: "loss (nats per row)", better: "lower" },
    { name: "accuracy", label: "accuracy", better: "higher" },
  ],
  ranking: "accuracy",
  baselines: [{ name: "most frequent class", metrics: { loss: 2.3, accuracy: 0.17 } }],
};

/** A comparison with these results, as the command would have written it. */
export function madeComparison(tasks: readonly TaskAbout[], variants: readonly Made[]): Comparison {
  const runs = tasks.flatMap((task) =>
    variants.flatMap((made) => [
      ...(made.scores?.[task.label] ?? []).map((score, seed) => runOf(task, made, score, seed, false)),
      ...(made.pretrained?.[task.label] ?? []).map((score, seed) => runOf(task, made, score, seed, true)),
    ]),
  );
  return {
    format: "tsformers-comparison",
    version: 2,
    title: tasks.map(({ label }) => label).join(" and "),
    command: "tsformers compare",
    settings: {},
    startedAt: "2025-05-01T10:00:00.000Z",
    finishedAt: "2025-05-01T11:00:00.000Z",
    complete: true,
    environment: {
      cpu: "Example CPU",
      cores: 2,
      memoryBytes: 16e9,
      platform: "linux x64",
      node: "v20.19.0",
      tsformers: "0.1.0",
      onnxruntime: "1.24.0",
    },
    budget: { kind: "steps", amount: 1000 },
    seeds: Math.max(0, ...runs.map(({ seed }) => seed + 1)),
    tasks,
    variants: variants.map(({ label }) => label),
    cells: tasks.flatMap((task) => variants.map((made) => cellOf(task, made))),
    runs,
    costs: tasks.flatMap((task) =>
      variants.flatMap((made) => (made.steps === undefined ? [] : [costsOf(task, made.label, made.steps)])),
    ),
    trials: [],
  };
}

function runOf(task: TaskAbout, made: Made, score: number | "failed", seed: number, pretrained: boolean): CompareRun {
  const { label, model = { kind: "gpt" }, byLength = {}, parameters = 800_000, steps = {}, rows } = made;
  const config = parseRunConfig({ task: { kind: "text" }, model, length: task.trainLength, seed }, "test");
  const id = `${task.label}/${label}/${seed}${pretrained ? "/pretrained" : ""}`;
  const directory = `runs/${id.replaceAll("/", "-")}`;
  const about = { task: task.label, variant: label, seed, pretrained, directory, config };
  if (score === "failed") return { id, ...about, outcome: { failure: "the process ran out of memory" } };
  const atTraining = steps[task.trainLength];
  const [speed, peakBytes] = typeof atTraining === "object" ? atTraining : [10_000, 400e6];
  const scored = rows === undefined ? {} : { scored: { tokens: rows, rows } };
  const measured = task.lengths.map((length): LengthFigures => {
    const value = length === task.trainLength ? score : byLength[task.label]?.[length];
    if (typeof value === "number") return { length, metrics: figuresOf(task, value), ...scored };
    return { length, missing: value ?? "learned positions end at 512" };
  });
  const result = {
    parameters,
    steps: 1000,
    tokens: 1e6,
    metrics: figuresOf(task, score),
    ...scored,
    byLength: measured,
    trainCurve: [{ step: 1000, loss: 1.5 }],
    validCurve: [{ step: 1000, loss: 1.5 }],
    trainTokensPerSecond: speed * (1 + seed / 100),
    evalTokensPerSecond: speed * 3,
    peakBytes,
    seconds: 60,
  };
  return { id, ...about, outcome: { result, reused: false } };
}

/** The ranking metric, and a loss that goes with it. */
function figuresOf({ metrics, ranking }: TaskAbout, score: number): Record<string, number> {
  const isShare = metrics.find(({ name }) => name === ranking)!.better === "higher";
  return { loss: isShare ? -Math.log(Math.max(score, 1e-3)) : score * Math.LN2, [ranking]: score };
}

function cellOf(task: TaskAbout, made: Made): CellAbout {
  const { label, parameters = 800_000, stateBytes, unequal = [], settings = {} } = made;
  return {
    task: task.label,
    variant: label,
    parameters,
    layers: 2,
    modelWidth: 128,
    causal: true,
    flopsPerToken: 6 * parameters,
    ...(stateBytes !== undefined && { stateBytes: [{ length: task.trainLength, bytes: stateBytes }] }),
    unequal,
    settings,
  };
}

function costsOf(task: TaskAbout, variant: string, steps: NonNullable<Made["steps"]>): Comparison["costs"][number] {
  return {
    task: task.label,
    variant,
    steps: Object.entries(steps).map(([text, cost]): StepCost => {
      const length = Number(text);
      if (typeof cost === "string") return { length, missing: cost };
      const [tokensPerSecond, peakBytes] = cost;
      return { length, rows: Math.max(1, 4096 / length), tokensPerSecond, peakBytes, flopsPerToken: 5e6 };
    }),
  };
}

const lshLabel = "gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary";

/** Two tasks, six variants, three seeds; with failures, gaps, unequal cells and pre-training. */
export function richComparison(): Comparison {
  const full = { kind: "gpt", position: { kind: "rotary" } };
  return madeComparison(
    [text, recall],
    [
      {
        label: "softmax",
        model: full,
        scores: { text: [2.31, 2.33, 2.32], [recall.label]: [0.99, 0.98, 0.995] },
        pretrained: { text: [2.3, 2.31, 2.3] },
        byLength: { text: { 1024: 2.35, 2048: 2.6, 4096: 3.1 } },
        steps: { 512: [20e3, 400e6], 1024: [16e3, 600e6], 2048: [11e3, 1.1e9], 4096: [6e3, 2.5e9] },
        stateBytes: 1_048_576,
        settings: {},
      },
      {
        label: "window=64",
        model: { ...full, pattern: { kind: "window", before: 64 } },
        scores: { text: [2.325, 2.34, 2.335], [recall.label]: [0.42, 0.45, 0.4] },
        pretrained: { text: [2.29, 2.28, 2.29] },
        byLength: { text: { 1024: 2.33, 2048: 2.33, 4096: 2.34 } },
        steps: { 512: [22e3, 390e6], 1024: [23e3, 500e6], 2048: [23e3, 700e6], 4096: [23.4e3, 1e9] },
        stateBytes: 131_072,
        settings: { pattern: "window" },
      },
      {
        label: "linear",
        model: { ...full, mixer: { kind: "linear" } },
        scores: { text: [2.61, 2.6, 2.63], [recall.label]: [0.2, 0.22, 0.19] },
        pretrained: { text: [2.5, 2.51, 2.5] },
        byLength: { text: { 1024: 2.7, 2048: 2.9, 4096: 3.3 } },
        steps: { 512: [15e3, 380e6], 1024: [15e3, 430e6], 2048: [15e3, 520e6], 4096: [15e3, 700e6] },
        stateBytes: 65_536,
        settings: { mixer: "linear" },
      },
      {
        label: "delta-net",
        model: { ...full, mixer: { kind: "delta-net" } },
        scores: { text: [2.33, 2.36, 2.31], [recall.label]: [0.985, 0.99, 0.98] },
        byLength: { text: { 1024: 2.36, 2048: 2.41, 4096: 2.5 } },
        steps: {
          512: [9e3, 500e6],
          1024: [9e3, 560e6],
          2048: [9e3, 660e6],
          4096: "a step needs about 3 GB, and 2 GB are free",
        },
        parameters: 1_050_000,
        stateBytes: 70_000,
        unequal: ["1.31 × the parameters of most"],
        settings: { mixer: "delta-net" },
      },
      {
        label: lshLabel,
        model: { ...full, mixer: { kind: "lsh" } },
        scores: { text: [2.5, "failed", 2.7], [recall.label]: [0.7, 0.1, 0.5] },
        byLength: { text: { 1024: "rows of lsh must be multiples of its buckets" } },
        steps: { 512: [7e3, 600e6], 1024: [7e3, 700e6], 2048: [7e3, 900e6], 4096: [7e3, 1.3e9] },
        settings: { mixer: "lsh" },
      },
      {
        label: "performer",
        model: { ...full, mixer: { kind: "performer" } },
        scores: { text: ["failed", "failed", "failed"], [recall.label]: [0.1, 0.12, 0.1] },
        settings: { mixer: "performer" },
      },
    ],
  );
}
