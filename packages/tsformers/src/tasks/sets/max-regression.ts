import { foldIn, integers, type RandomKey, uniform } from "@tsformers/engine";
import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { absoluteError } from "../metric.ts";
import { type QuantityRow, quantitiesForm } from "../quantity-rows.ts";
import { generatedRows, rowsView } from "../rows.ts";
import type { Quantity, Task, TaskViews } from "../task.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

export type MaxRegressionOptions = {
  /** The most numbers of a training set. Default: 10. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

/** A task of sets with a number each. */
export type QuantityTask = Task<Required<Pick<TaskViews, "quantities">>>;

/** Numbers are below this. */
const largest = 100;
const usualLength = 10;
/** Default of the sets scored in an evaluation. */
export const usualSets = 1024;

/**
 * The largest of a set of real numbers, which is to be told as a number. A set has 1 to T numbers, uniform in [0, 100).
 *
 * A model reads each as a vector of one feature, in hundreds, and tells the largest in hundreds; the loss is the distance from it in the numbers' own
 * unit.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.1, arXiv:1810.00825 (sets of up to 10 numbers between 0 and 100, mean absolute error)
 * @differs numbers are read in hundreds: networks begin well with inputs of about 1
 */
export function maxRegressionTask({ length = usualLength, seed = 0 }: MaxRegressionOptions = {}): QuantityTask {
  const quantity: Quantity = { features: 1, error: { kind: "absolute", unit: largest } };
  const source = generatedRows(maxRegressionRow, { seed });
  const view = rowsView({ name: "max-regression", length, source, form: quantitiesForm(quantity), limit: usualSets });
  return {
    name: "max-regression",
    // Numbers are no tokens; a model has one all the same.
    vocabularySize: 1,
    length,
    metrics: [absoluteError],
    fingerprint: `max-regression seed=${seed}`,
    views: { quantities: { ...view, quantity } },
  };
}

function maxRegressionRow(key: RandomKey, length: number): QuantityRow {
  const [size] = integers(foldIn(key, 0), [1], { low: 1, high: length + 1 }).toNumbers() as [number];
  const shares = uniform(foldIn(key, 1), [size]).toNumbers();
  return { vectors: shares.map((share) => [share]), quantity: largest * Math.max(...shares) };
}

export const maxRegressionEntry: TaskEntry<"max-regression", MaxRegressionOptions> = /* @__PURE__ */ taskEntry({
  name: "max-regression",
  title: "Largest of a set, as a number",
  category: "generated",
  summary: "tell the largest of a set of real numbers (regression of sets)",
  options: () =>
    z.strictObject({
      length: positionCount().default(usualLength).describe("the most numbers of a training set"),
      seed: seedOption(),
    }),
  make: (settings) => maxRegressionTask(settings),
});
