import { foldIn, integers, permutation, type RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import type { LabelledRow } from "../row-forms.ts";
import { generatedRows } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";

export type MaxOptions = {
  /** How many different numbers there are, from 0 on. Default: 100. */
  readonly numbers?: number;
  /** The most elements of a training set. Default: 10. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { numbers: 100, length: 10 };

/**
 * The largest of a set of numbers. A set has ⌈T/2⌉ to T elements; numbers may repeat, and their order carries nothing.
 *
 * Tokens: 0 padding, then the numbers 0, 1, … The class is the largest number.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.1, arXiv:1810.00825 (max regression)
 * @differs the largest number is a class here, and a real number in the paper, which measures its absolute error; it is drawn first, every number
 * as often, and the others from those up to it: were all drawn alike, the answer for large sets would nearly always be the same
 */
export function maxTask(options: MaxOptions = {}): LabelledTask {
  const { numbers, length, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(numbers) && numbers >= 2))
    throw new RangeError(`max: numbers must be an integer ≥ 2, got ${numbers}`);
  const names = Array.from({ length: numbers }, (_, number) => String(number));
  return labelledTask({
    name: "max",
    vocabularySize: numbers + 1,
    classes: numbers,
    classNames: names,
    length,
    seed,
    symbolOf: (token) => (token === 0 ? "-" : names[token - 1]!),
    fingerprint: `max numbers=${numbers} seed=${seed}`,
    source: generatedRows((key, rowLength) => maxRow(key, rowLength, numbers), { seed }),
  });
}

function maxRow(key: RandomKey, length: number, numbers: number): LabelledRow {
  const draw = (of: number, count: number, low: number, high: number): number[] =>
    integers(foldIn(key, of), [count], { low, high }).toNumbers();
  const [size] = draw(0, 1, Math.ceil(length / 2), length + 1) as [number];
  const [label] = draw(1, 1, 0, numbers) as [number];
  const elements = [label, ...draw(2, size - 1, 0, label + 1)];
  const order = permutation(foldIn(key, 3), size).toNumbers();
  return { tokens: order.map((from) => 1 + elements[from]!), label };
}

export type MaxSettings = MaxOptions;

export const maxEntry: TaskEntry<"max", MaxSettings> = /* @__PURE__ */ taskEntry({
  name: "max",
  title: "Largest of a set",
  category: "generated",
  summary: "tell the largest of a set of numbers (classification of sets)",
  options: () =>
    z.strictObject({
      numbers: symbolCount().default(defaults.numbers).describe("how many different numbers there are, from 0 on"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => maxTask(settings),
});
