import type { RunConfigInput } from "../run/config.ts";

/** Settings that suit a task, where nothing else is said. */
export type Standard = Partial<RunConfigInput>;

/**
 * Text made on the spot: a first look, over in about a minute on two cores. Small, but large enough that schemes differ.
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

/** Real text at the length of the README's table: some minutes for each run on two cores. */
const text: Standard = {
  model: { kind: "gpt", layers: 4, modelWidth: 128, heads: 4 },
  length: 128,
  steps: 1000,
  batchSize: 16,
  learningRate: 2e-3,
  evalEvery: 100,
  evalTokens: 16_384,
};

/** Tasks of generated symbols. */
const symbols: Standard = {
  model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4 },
  steps: 1000,
  batchSize: 32,
  learningRate: 2e-3,
};

/** What a comparison of a task takes unless told otherwise. */
export function standardFor(task: { readonly kind: string; readonly data?: unknown }): Standard {
  if (task.kind !== "text") return symbols;
  return task.data === undefined ? grammar : text;
}
