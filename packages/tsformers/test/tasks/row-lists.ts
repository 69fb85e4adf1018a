import type { NDArray } from "@tsformers/engine";
import type { Batch, TaskView } from "../../src/tasks/task.ts";

/** The rows of an array [B, T]. */
export function rowsOf(array: NDArray): number[][] {
  const flat = array.toNumbers();
  const [count, width] = array.shape as [number, number];
  return Array.from({ length: count }, (_, b) => flat.slice(b * width, (b + 1) * width));
}

export type PlainRow = {
  readonly inputs: number[];
  readonly targets: number[];
  readonly weights: number[];
  /** Targets where they are scored, undefined elsewhere. */
  readonly expected: (number | undefined)[];
};

export function plainRows({ inputs, targets, weights }: Batch): PlainRow[] {
  const [allTargets, allWeights] = [rowsOf(targets), rowsOf(weights)];
  return rowsOf(inputs).map((row, b) => ({
    inputs: row,
    targets: allTargets[b]!,
    weights: allWeights[b]!,
    expected: allTargets[b]!.map((target, t) => (allWeights[b]![t]! > 0 ? target : undefined)),
  }));
}

/** Some rows of an evaluation, each scored wholly. */
export function evalRows(view: TaskView<Batch>, length: number, count: number): PlainRow[] {
  const [batch] = view.evalBatches("valid", { batchSize: count, length, limit: count * length });
  return plainRows(batch!);
}

/** Fails where a count is five standard deviations away from what its probability makes likely. */
export function isNear(count: number, probability: number, of: number): boolean {
  return Math.abs(count - probability * of) < 5 * Math.sqrt(of * probability * (1 - probability)) + 1e-9;
}
