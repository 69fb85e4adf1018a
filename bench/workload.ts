/** A GPT to train or decode: everything a child process needs to know, passed to it as JSON in its first argument. */
export type Workload = {
  /** Model width C. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly batch: number;
  /** Tokens per row T; also the number of learned positions and, for decoding, of tokens generated. */
  readonly length: number;
  readonly vocabulary: number;
  /** Timed steps (training) or timed whole generations (decoding). */
  readonly steps: number;
  /** Steps before the timed ones. */
  readonly warmup: number;
  readonly threads: number;
  /** Parts in which our side works through a batch. Default: as few as `suitableMicroBatches` says. */
  readonly microBatches?: number;
  /** Steps that our side makes in one run, as `train()` does where they are short; divides `warmup` and `steps`. Default: 1. */
  readonly stepsPerRun?: number;
};

/** Width 256, 4 layers, batch 16 × 256: the small training step. */
export const smallGpt: Workload = {
  width: 256,
  layers: 4,
  heads: 4,
  batch: 16,
  length: 256,
  vocabulary: 65,
  steps: 12,
  warmup: 3,
  threads: 2,
};

/** Width 512, 6 layers, batch 8 × 512: the large training step. */
export const largeGpt: Workload = {
  width: 512,
  layers: 6,
  heads: 8,
  batch: 8,
  length: 512,
  vocabulary: 65,
  steps: 5,
  warmup: 2,
  threads: 2,
};

/** The small GPT with one row of 4,096 tokens: attention is most of the step. */
export const longGpt: Workload = { ...smallGpt, batch: 1, length: 4096, steps: 4, warmup: 1 };

/** Parameters of the GPT of a workload: tied head, biases everywhere, as every side must build it. */
export function parameterCount({ width, layers, length, vocabulary }: Workload): number {
  const block = 12 * width * width + 13 * width;
  return (vocabulary + length) * width + layers * block + 2 * width;
}

/** Products of one token of a generation of `length` tokens, in GFLOP: with all weights, and with the keys and values of half of the tokens. */
export function decodeGflop({ width, layers, length, vocabulary }: Workload): number {
  const weights = layers * 12 * width * width + vocabulary * width;
  return 2 * (weights + layers * width * (length + 1)) * 1e-9;
}

/** The sizes of nanoGPT's recipe for a CPU. */
export const recipeGpt: Workload = { ...smallGpt, width: 128, batch: 12, length: 64, steps: 2000, warmup: 0 };

/** Sizes of one layer of attention; `width` is that of all heads together. */
export type AttentionSizes = {
  readonly batch: number;
  readonly length: number;
  readonly width: number;
  readonly causal: boolean;
};

/**
 * Products of queries with keys and of weights with values, forward and backward (twice forward), in GFLOP. Causal attention counts
 * the pairs that it sees. Recomputation is not counted: no definition needs it.
 */
export function attentionCoreGflop({ batch, length, width, causal }: AttentionSizes): number {
  const pairs = causal ? (length * (length + 1)) / 2 : length * length;
  return 3 * 2 * batch * 2 * pairs * width * 1e-9;
}

/** The same with the four projections. */
export function attentionGflop(sizes: AttentionSizes): number {
  const { batch, length, width } = sizes;
  return attentionCoreGflop(sizes) + 3 * 2 * batch * 4 * length * width * width * 1e-9;
}

/** Matrix products of one training step of the GPT of a workload, forward and backward, in GFLOP. */
export function gptStepGflop({ batch, length, width, layers, vocabulary }: Workload): number {
  const tokens = batch * length;
  const ffnAndHead = 3 * 2 * tokens * width * (layers * 8 * width + vocabulary) * 1e-9;
  return layers * attentionGflop({ batch, length, width, causal: true }) + ffnAndHead;
}

/**
 * The batch every side trains on: token (b, t) is `(7b + 3t + t² mod 11) mod V`, targets are the tokens one place on.
 *
 * @shape → tokens [B·T], targets [B·T], rows one after another
 */
export function syntheticBatch({ batch, length, vocabulary }: Workload): { tokens: Int32Array; targets: Int32Array } {
  const tokens = new Int32Array(batch * length);
  const targets = new Int32Array(batch * length);
  const tokenAt = (b: number, t: number): number => (7 * b + 3 * t + ((t * t) % 11)) % vocabulary;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      tokens[b * length + t] = tokenAt(b, t);
      targets[b * length + t] = tokenAt(b, t + 1);
    }
  }
  return { tokens, targets };
}

/** The workload a child process was started with. */
export function readWorkload(argument: string | undefined = process.argv[2]): Workload {
  if (argument === undefined) throw new Error("expected a workload as JSON in the first argument, got none");
  return JSON.parse(argument) as Workload;
}
