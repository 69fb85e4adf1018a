/** Settings of one task of MAD, under the names of its options. */
export type MadSettings = Readonly<Record<string, number>>;

export type MadTaskName =
  | "mad-recall"
  | "mad-fuzzy-recall"
  | "mad-noisy-recall"
  | "mad-selective-copy"
  | "mad-compression"
  | "mad-memorisation";

const rows = [6400, 3200, 1600, 800];

/**
 * How MAD was measured where it was published, as data: of each setting the best run of the grid counts, and the score of a task is the mean
 * over its settings. A benchmark that does less says so.
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 * @differs its code averages accuracies over the tokens expected (each symbol counts as much as the others), our metric over positions
 */
export const madProtocol: {
  /** Each setting in `varied` is changed alone, the others being those of `base`. */
  readonly tasks: Readonly<
    Record<MadTaskName, { readonly base: MadSettings; readonly varied: Readonly<Record<string, readonly number[]>> }>
  >;
  readonly model: { readonly width: number; readonly layers: number; readonly feedForward: "swiglu" };
  readonly optimiser: "adamw";
  readonly learningRates: readonly number[];
  readonly weightDecays: readonly number[];
  readonly schedule: { readonly kind: "cosine"; readonly lowestRate: number };
  readonly batchSize: number;
  readonly epochs: number;
  readonly testRows: number;
  readonly seed: number;
} = {
  tasks: {
    "mad-recall": {
      base: { vocabulary: 16, length: 128, trainingRows: 12_800 },
      varied: { vocabulary: [32, 64, 128], length: [256, 512, 1024], trainingRows: rows },
    },
    "mad-fuzzy-recall": {
      base: { vocabulary: 16, length: 128, trainingRows: 12_800, keyTokens: 3, valueTokens: 3 },
      varied: { vocabulary: [32, 64, 128], length: [256, 512, 1024], trainingRows: rows },
    },
    "mad-noisy-recall": {
      base: { vocabulary: 32, length: 128, trainingRows: 12_800, noiseTokens: 16, noise: 0.2 },
      varied: {
        vocabulary: [48, 80, 144],
        length: [256, 512, 1024],
        trainingRows: rows,
        noise: [0.4, 0.6, 0.8],
      },
    },
    "mad-selective-copy": {
      base: { vocabulary: 16, length: 256, trainingRows: 12_800, tokens: 16 },
      varied: { vocabulary: [32, 64, 128], length: [512, 1024], trainingRows: rows, tokens: [32, 64, 96] },
    },
    "mad-compression": {
      base: { vocabulary: 16, length: 32, trainingRows: 12_800 },
      varied: { vocabulary: [32, 64, 128], length: [64, 128, 256], trainingRows: rows },
    },
    "mad-memorisation": {
      base: { vocabulary: 256, length: 32, trainingRows: 256 },
      varied: { vocabulary: [512, 1024, 2048, 4096, 8192] },
    },
  },
  model: { width: 128, layers: 2, feedForward: "swiglu" },
  optimiser: "adamw",
  learningRates: [1e-4, 5e-4, 1e-3],
  weightDecays: [0, 0.1],
  schedule: { kind: "cosine", lowestRate: 1e-6 },
  batchSize: 128,
  epochs: 200,
  testRows: 1280,
  seed: 12_345,
};

/** One setting of a task: the base, or the base with one option changed. */
export type MadCase = {
  readonly task: MadTaskName;
  /** Which option is changed. Absent: the base. */
  readonly varied?: string;
  readonly settings: MadSettings;
};

/** Every setting of the protocol, 66 in all. */
export function madCases(): MadCase[] {
  return (Object.keys(madProtocol.tasks) as MadTaskName[]).flatMap((task) => {
    const { base, varied } = madProtocol.tasks[task];
    const changes = Object.entries(varied).flatMap(([name, values]) =>
      values.map((value) => ({ task, varied: name, settings: { ...base, [name]: value } })),
    );
    return [{ task, settings: base }, ...changes];
  });
}
