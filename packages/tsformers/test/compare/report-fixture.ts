import { causal } from "../../src/attention/patterns/pattern.ts";
import { always } from "../../src/attention/patterns/per-layer.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { patternPictures } from "../../src/compare/execution/pattern-pictures.ts";
import type {
  CellAbout,
  CellCosts,
  CompareRun,
  Comparison,
  RunResult,
  TaskAbout,
  Trial,
} from "../../src/compare/results.ts";
import type { RunConfig } from "../../src/run/config.ts";

/** What a made-up variant is like. */
type Kind = {
  readonly label: string;
  readonly mixer: Readonly<Record<string, unknown>>;
  readonly position: string;
  /** How good it is, 0 to 1. */
  readonly skill: number;
  /** Exponent of its time in the length, beyond linear. */
  readonly growth: number;
  /** Bytes of state at the training length; growing with the length or not; absent where it cannot write. */
  readonly state?: { readonly bytes: number; readonly grows: boolean };
  readonly fades: number;
};

const kinds: readonly Kind[] = [
  {
    label: "softmax · rotary",
    mixer: { kind: "softmax" },
    position: "rotary",
    skill: 0.93,
    growth: 1,
    state: { bytes: 131_072, grows: true },
    fades: 0.5,
  },
  {
    label: "softmax · alibi",
    mixer: { kind: "softmax" },
    position: "alibi",
    skill: 0.925,
    growth: 1.02,
    state: { bytes: 131_072, grows: true },
    fades: 0.05,
  },
  {
    label: "linear · rotary",
    mixer: { kind: "linear" },
    position: "rotary",
    skill: 0.62,
    growth: 0.02,
    state: { bytes: 16_640, grows: false },
    fades: 0.35,
  },
  {
    label: "performer · features=64",
    mixer: { kind: "performer", features: 64 },
    position: "rotary",
    skill: 0.7,
    growth: 0.05,
    state: { bytes: 33_280, grows: false },
    fades: 0.3,
  },
  {
    label: "retention",
    mixer: { kind: "retention", doubleWidth: false },
    position: "rotary",
    skill: 0.78,
    growth: 0.3,
    state: { bytes: 16_384, grows: false },
    fades: 0.2,
  },
  {
    label: "local · window=32 · alibi",
    mixer: { kind: "local", window: 32 },
    position: "alibi",
    skill: 0.83,
    growth: 0.04,
    state: { bytes: 32_768, grows: false },
    fades: 0.02,
  },
  {
    label: "lsh · rounds=4 · a rather long label that somebody gave to it",
    mixer: { kind: "lsh", rounds: 4 },
    position: "rotary",
    skill: 0.8,
    growth: 0.25,
    fades: 0.4,
  },
  { label: "fourier", mixer: { kind: "fourier" }, position: "learned", skill: 0.41, growth: 0.1, fades: 0.6 },
];

const trainLength = 128;
const lengths = [128, 256, 512, 1024];

const tasks: readonly TaskAbout[] = [
  {
    label: "recall",
    name: "recall",
    title: "Recall of values by their keys",
    objective: "next",
    metrics: [
      { name: "loss", label: "loss (nats per token)", better: "lower" },
      { name: "tokenAccuracy", label: "token accuracy", better: "higher" },
    ],
    ranking: "tokenAccuracy",
    trainLength,
    lengths,
    baselines: [{ name: "unigram", metrics: { loss: 3.47, tokenAccuracy: 0.031 } }],
    example: {
      view: "next",
      input: "k3 v7 k1 v2 k9 v4 k1→v2 k3→v7 k9→v4",
      scored: "3 of 128 positions, those with →",
    },
  },
  {
    label: "text · tiny-stories",
    name: "text",
    title: "Characters of a folder of short stories",
    objective: "next",
    metrics: [
      { name: "loss", label: "loss (nats per token)", better: "lower" },
      { name: "bitsPerCharacter", label: "bits per character", better: "lower" },
      { name: "tokenAccuracy", label: "token accuracy", better: "higher" },
    ],
    ranking: "bitsPerCharacter",
    trainLength,
    lengths,
    baselines: [{ name: "unigram", metrics: { loss: 2.911, bitsPerCharacter: 4.2, tokenAccuracy: 0.17 } }],
    example: {
      view: "next",
      input: "Once upon a time there was a little </script><b>fox</b>",
      scored: "each of the 128 next tokens",
    },
  },
];

/** Numbers that look random and are the same each time. */
function makeNoise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export type FixtureOptions = {
  /** Default: 8. */
  readonly variants?: number;
  /** Default: 3. */
  readonly seeds?: number;
  readonly title?: string;
  /** Instead of the variants' own labels. */
  readonly labels?: readonly string[];
};

/** A comparison as it could have come out, of two tasks: with a failed run, lengths that are missing, pre-trained runs and a search. */
export function comparisonFixture({ variants: count = 8, seeds = 3, title, labels }: FixtureOptions = {}): Comparison {
  const noise = makeNoise(7);
  const chosen = Array.from({ length: count }, (_, i): Kind => {
    const kind = kinds[i % kinds.length]!;
    const round = Math.floor(i / kinds.length);
    const label = labels?.[i] ?? (round === 0 ? kind.label : `${kind.label} · width=${64 * (round + 1)}`);
    return { ...kind, label, skill: Math.max(0.1, kind.skill - 0.03 * round) };
  });
  const isFailed = (kind: Kind, task: TaskAbout, seed: number) => kind === chosen[6] && task === tasks[1] && seed > 0;
  const runs = tasks.flatMap((task) =>
    [false, true].flatMap((pretrained) =>
      chosen.flatMap((kind, slot) =>
        Array.from(
          { length: pretrained ? (task === tasks[0] && slot < 5 ? seeds : 0) : seeds },
          (_, seed): CompareRun => ({
            id: `${task.label}-${slot}-${seed}-${pretrained}`,
            task: task.label,
            variant: kind.label,
            seed,
            pretrained,
            directory: `runs/${slot}-${seed}`,
            config: configOf(kind, task, seed),
            outcome: isFailed(kind, task, seed)
              ? { failure: "killed from outside, perhaps for lack of memory\n  at step 310 of 2000" }
              : { result: resultOf(kind, task, noise, pretrained), reused: seed === 0 },
          }),
        ),
      ),
    ),
  );
  return {
    format: "tsformers-comparison",
    version: 2,
    title: title ?? "Eight mixers on recall and on text",
    command:
      "tsformers compare --task recall,text --vary 'mixer=softmax,linear,performer,retention,local,lsh,fourier' --seeds 3 --steps 2000",
    settings: {
      tasks: ["recall", "text"],
      vary: { mixer: ["softmax", "linear", "performer"] },
      seeds,
      steps: 2000,
      lengths,
    },
    startedAt: "2026-11-20T08:00:00.000Z",
    finishedAt: "2026-11-20T08:27:41.000Z",
    complete: true,
    environment: {
      cpu: "AMD EPYC 7B13",
      cores: 2,
      memoryBytes: 8.3e9,
      platform: "linux x64",
      node: "20.20.2",
      tsformers: "0.2.0",
      onnxruntime: "1.30.0",
    },
    budget: { kind: "steps", amount: 2000 },
    seeds,
    tasks,
    variants: chosen.map(({ label }) => label),
    cells: tasks.flatMap((task) => chosen.map((kind) => cellOf(kind, task))),
    runs,
    costs: tasks.flatMap((task) => chosen.map((kind) => costsOf(kind, task, noise))),
    trials: trialsOf(chosen.slice(0, 2), noise),
  };
}

function configOf({ mixer, position }: Kind, task: TaskAbout, seed: number): RunConfig {
  return {
    task: { kind: task.name, ...(task.name === "text" && { data: "stories" }) },
    model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4, mixer, position: { kind: position } },
    length: trainLength,
    steps: 2000,
    batchSize: 32,
    optimiser: { kind: "adamw", weightDecay: 0.1 },
    learningRate: mixer.kind === "fourier" ? 5e-4 : 2e-3,
    schedule: { kind: "cosine", warmup: 100 },
    clip: 1,
    labelSmoothing: 0,
    ema: 0,
    evalEvery: 100,
    evalTokens: 8192,
    patience: 0,
    checkpointEvery: 200,
    keep: 2,
    seed,
    device: "cpu",
  };
}

function resultOf(kind: Kind, task: TaskAbout, noise: () => number, pretrained: boolean): RunResult {
  const jitter = noise() * 0.008 * (1.3 - kind.skill) * 6;
  const skill = Math.min(0.99, kind.skill + jitter + (pretrained ? 0.04 * (1 - kind.skill) + 0.02 : 0));
  const metricsAt = (length: number) =>
    metricsOf(task, skill * (1 - kind.fades * 0.3 * Math.log2(length / trainLength)));
  const { loss } = metricsAt(trainLength) as { loss: number };
  const start = task.name === "text" ? 3.3 : 3.47;
  const curve = (points: number, roughness: number) =>
    Array.from({ length: points }, (_, i) => {
      const share = (i + 1) / points;
      const drop = 1 / (1 + Math.exp(-10 * (share - 0.25 - (1 - kind.skill) * 0.3)));
      return { step: Math.round(2000 * share), loss: loss + (start - loss) * (1 - drop) * (1 + roughness * noise()) };
    });
  return {
    parameters: 118_000,
    steps: 2000,
    tokens: 2000 * 32 * trainLength,
    metrics: metricsAt(trainLength),
    byLength: task.lengths.map((length) => {
      if (kind.position === "learned" && length > trainLength)
        return { length, missing: "rows are longer than the model has positions" };
      return {
        length,
        metrics: metricsAt(length),
        ...(kind.label.startsWith("lsh") && length > 512 && { note: "hashed in 32 buckets, as in training" }),
      };
    }),
    trainCurve: curve(200, 0.12),
    validCurve: curve(20, 0.03),
    trainTokensPerSecond: (26_000 * (1 + noise() * 0.03)) / (1 + kind.growth * 0.9),
    evalTokensPerSecond: (81_000 * (1 + noise() * 0.03)) / (1 + kind.growth * 0.9),
    peakBytes: 310e6 * (1 + kind.growth * 0.6) * (1 + noise() * 0.01),
    seconds: 320 * (1 + kind.growth * 0.9) * (1 + noise() * 0.03),
  };
}

function metricsOf(task: TaskAbout, skill: number): Record<string, number> {
  if (task.name !== "text") return { loss: 3.47 * (1 - Math.max(0, skill)), tokenAccuracy: Math.max(0.03, skill) };
  const loss = 1.75 - 0.4 * skill;
  return { loss, bitsPerCharacter: loss / Math.LN2, tokenAccuracy: 0.35 + 0.2 * skill };
}

function cellOf({ label, mixer, growth, state }: Kind, task: TaskAbout): CellAbout {
  const place = { length: 64, layers: 2, heads: 4 };
  const pattern =
    mixer.kind === "softmax" ? causal : mixer.kind === "local" ? slidingWindow({ before: 8, after: 0 }) : undefined;
  return {
    task: task.label,
    variant: label,
    parameters: mixer.kind === "fourier" ? 84_200 : mixer.kind === "performer" ? 121_300 : 118_000,
    layers: 2,
    modelWidth: 64,
    causal: mixer.kind !== "fourier",
    flopsPerToken: Math.round(720_000 * (1 + growth * 0.35)),
    ...(state !== undefined && {
      stateBytes: task.lengths.map((length) => ({
        length,
        bytes: state.bytes * (state.grows ? length / trainLength : 1),
      })),
    }),
    ...(pattern !== undefined && { patterns: patternPictures(always(pattern), place) }),
    unequal: mixer.kind === "fourier" ? ["0.71 × the parameters of most", "sees later inputs"] : [],
    settings: {},
  };
}

function costsOf({ label, growth }: Kind, task: TaskAbout, noise: () => number): CellCosts {
  return {
    task: task.label,
    variant: label,
    steps: task.lengths.map((length) => {
      if (label.startsWith("softmax · alibi") && length === 1024) return { length, missing: "out of memory" };
      const times = length / trainLength;
      const overhead = growth < 0.5 ? 1.9 - growth : 1;
      const tokensPerSecond = ((26_000 / overhead) * (1 + noise() * 0.02)) / (0.6 + 0.4 * times ** growth);
      return {
        length,
        rows: Math.max(1, 4096 / length),
        tokensPerSecond,
        peakBytes: 260e6 * (growth < 0.5 ? 1.25 : 1) * (0.7 + 0.3 * times ** (growth * 1.1)) * (1 + noise() * 0.01),
        flopsPerToken: 720_000 * (1 + growth * 0.35 * times),
      };
    }),
  };
}

function trialsOf(chosen: readonly Kind[], noise: () => number): Trial[] {
  return chosen.flatMap(({ label }) =>
    [5e-4, 1e-3, 2e-3, 4e-3, 8e-3].map((learningRate, i): Trial => {
      const rungs = [100, 300, 900].slice(0, i === 2 ? 3 : i % 2 === 1 ? 2 : 1);
      return {
        task: tasks[0]!.label,
        variant: label,
        settings: { "learning-rate": String(learningRate) },
        rungs:
          i === 4
            ? []
            : rungs.map((step) => ({ step, loss: 2.9 - step / 700 + Math.abs(i - 2) * 0.2 + noise() * 0.02 })),
        chosen: i === 2,
        ...(i === 4 && { failure: "the loss is not a number at step 12" }),
      };
    }),
  );
}
