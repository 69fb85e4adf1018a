import type { RunConfigInput } from "../run/config.ts";

/** Default settings for a task. */
export type Standard = Partial<RunConfigInput>;

/**
 * For generated text: a first look that takes about a minute on two cores. Small, but large enough for schemes to differ.
 */
const grammar: Standard = {
  model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4 },
  length: 64,
  steps: 500,
  batchSize: 16,
  learningRate: 3e-3,
  evalEvery: 100,
  evalTokens: 4096,
};

/** For real text, at the length of the README's table: some minutes for each run on two cores. */
const text: Standard = {
  model: { kind: "gpt", layers: 4, modelWidth: 128, heads: 4 },
  length: 128,
  steps: 1000,
  batchSize: 16,
  learningRate: 2e-3,
  evalEvery: 100,
  evalTokens: 16_384,
};

/** For tasks of generated symbols. */
const symbols: Standard = {
  model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4 },
  steps: 1000,
  batchSize: 32,
  learningRate: 2e-3,
};

/** The default settings of a comparison on a task. */
export function standardFor(task: { readonly kind: string; readonly data?: unknown }): Standard {
  if (task.kind !== "text") return symbols;
  return task.data === undefined ? grammar : text;
}
