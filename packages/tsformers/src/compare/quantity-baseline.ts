import type { EvalTotals, Metric } from "../tasks/metric.ts";
import type { QuantitiesBatch, Quantity, TaskView } from "../tasks/task.ts";
import { median } from "../train/median.ts";
import { type Baseline, figuresOf } from "./baselines.ts";

/** Rows of training that the number is taken from. */
const countedRows = 1024;
const batchSize = 64;

/**
 * What is reached by one number for all sets: the median, which has the least distance, or for counts the mean, which is the best rate of a Poisson
 * distribution.
 */
export function quantityBaseline(options: {
  readonly view: TaskView<QuantitiesBatch>;
  readonly error: Quantity["error"];
  readonly metrics: readonly Metric[];
  readonly length: number;
  readonly limit?: number;
}): Baseline {
  const { view, error, metrics, length, limit } = options;
  const numbersOf = ({ quantities, weights }: QuantitiesBatch): number[] => {
    const isScored = weights.toNumbers();
    return quantities.toNumbers().filter((_, b) => isScored[b]! > 0);
  };
  const known = Array.from({ length: countedRows / batchSize }, (_, i) =>
    numbersOf(view.trainBatch(i + 1, batchSize, length)),
  ).flat();
  const batches = view.evalBatches("test", { batchSize, length, ...(limit !== undefined && { limit }) });
  const asked = [...batches].flatMap(numbersOf);
  const totals = error.kind === "absolute" ? distances(asked, median(known)) : counts(asked, mean(known));
  return { name: "one number for all", metrics: figuresOf(metrics, totals) };
}

function distances(asked: readonly number[], told: number): EvalTotals {
  const lossSum = asked.reduce((sum, number) => sum + Math.abs(number - told), 0);
  return { lossSum, tokens: asked.length, rows: asked.length };
}

function counts(asked: readonly number[], rate: number): EvalTotals {
  const nats = asked.map((count) => {
    let loss = rate - count * Math.log(rate);
    for (let k = 2; k <= count; k++) loss += Math.log(k);
    return loss;
  });
  const correct = asked.filter((count) => count === Math.floor(rate)).length;
  const lossSum = nats.reduce((sum, loss) => sum + loss, 0);
  return { lossSum, tokens: asked.length, rows: asked.length, correct, exactRows: correct };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
