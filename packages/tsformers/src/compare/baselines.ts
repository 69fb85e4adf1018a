import type { NDArray } from "@tsformers/engine";
import type { AnyBatch } from "../run/prepare.ts";
import type { EvalTotals, Metric } from "../tasks/metric.ts";
import type { TaskView } from "../tasks/task.ts";

/** What an answer scores that does not look at the row, or one that knows how the row was made. */
export type Baseline = {
  readonly name: string;
  /** Present if it is the oracle: the best that can be hoped for, not a hurdle. */
  readonly knowsAnswers?: true;
  /** Values of the task's metrics, by name. */
  readonly metrics: Readonly<Record<string, number>>;
};

/** Rows of training that answers are counted in. */
const countedRows = 1024;
/** Added to each count, so that an answer that was never seen is not impossible. */
const smoothing = 0.5;

/**
 * What is reached by answering as often as training rows do, whatever the row: the unigram model of tokens, the most frequent class. Losses are
 * those of the smoothed frequencies; accuracies those of the most frequent answer.
 *
 * @param options.answers how many different answers there are
 * @param options.name "unigram" of tokens, "most frequent class" of classes
 * @throws RangeError when the task has no such rows
 */
export function frequencyBaseline(options: {
  readonly name: string;
  readonly view: TaskView<AnyBatch>;
  readonly answers: number;
  readonly metrics: readonly Metric[];
  readonly length: number;
  readonly limit?: number;
}): Baseline {
  const { name, view, answers, metrics, length, limit } = options;
  const counts = new Float64Array(answers).fill(smoothing);
  const batchSize = 64;
  for (let step = 1; step <= Math.ceil(countedRows / batchSize); step++) {
    for (const row of scoredAnswers(view.trainBatch(step, batchSize, length)))
      for (const answer of row) counts[answer]!++;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  const best = counts.indexOf(Math.max(...counts));
  const totals = { lossSum: 0, tokens: 0, correct: 0, rows: 0, exactRows: 0 };
  for (const batch of view.evalBatches("test", { batchSize, length, ...(limit !== undefined && { limit }) })) {
    for (const row of scoredAnswers(batch)) {
      totals.rows++;
      totals.tokens += row.length;
      const right = row.filter((answer) => answer === best).length;
      totals.correct += right;
      if (right === row.length) totals.exactRows++;
      for (const answer of row) totals.lossSum -= Math.log(counts[answer]! / total);
    }
  }
  return { name, metrics: figuresOf(metrics, totals) };
}

export function figuresOf(metrics: readonly Metric[], totals: EvalTotals): Record<string, number> {
  return Object.fromEntries(metrics.map((metric) => [metric.name, metric.value(totals)]));
}

/** The expected answers of each row that has any. */
function scoredAnswers(batch: AnyBatch): number[][] {
  const answers = (batch.labels ?? batch.targets) as NDArray;
  const [rows, width = 1] = answers.shape as [number, number?];
  const [wanted, weights] = [answers.toNumbers(), batch.weights!.toNumbers()];
  return Array.from({ length: rows }, (_, row) =>
    wanted.slice(row * width, (row + 1) * width).filter((_, t) => weights[row * width + t]! > 0),
  ).filter((row) => row.length > 0);
}
