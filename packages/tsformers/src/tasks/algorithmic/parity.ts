import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { draws } from "../draws.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import { type LabelledRow, nextForm, type Row } from "../row-forms.ts";
import { generatedRows, type MakeRow, rowsView, usualLimit } from "../rows.ts";
import type { TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

export type ParityOptions = {
  /** T, bits of a training row at most. Default: 32. */
  readonly length?: number;
  /** Training rows have a random number of bits from this up to the length. Default: as many as the length, as in evaluation. */
  readonly shortest?: number;
  /** Default: 0. */
  readonly seed?: number;
};

export type ParityTask = LabelledTask & { readonly views: Required<Pick<TaskViews, "tagged">> };

const defaults = { length: 32 };
const classNames = ["even", "odd"];

/**
 * Parity: whether a row of random bits has an even or an odd number of ones, as its class. As a class at each position (view `tagged`): the
 * parity of the bits so far. The regular language that a Transformer of fixed depth finds hard at lengths beyond training.
 *
 * Tokens: 0 padding, 1 the bit 0, 2 the bit 1. Both classes are equally likely.
 *
 * @source Hahn 2020, "Theoretical Limitations of Self-Attention in Neural Sequence Models", arXiv:1906.06755
 */
export function parityTask(options: ParityOptions = {}): ParityTask {
  const { length: standard, shortest, seed = 0 } = { ...defaults, ...options };
  if (shortest !== undefined && !(Number.isInteger(shortest) && shortest >= 1)) {
    throw new RangeError(`parity: shortest must be an integer ≥ 1, got ${shortest}`);
  }
  const bitsOf = (...[key, length, purpose]: Parameters<MakeRow<unknown>>): number[] =>
    randomBits(key, length, purpose === "train" ? (shortest ?? length) : length);
  const task = labelledTask({
    name: "parity",
    vocabularySize: 3,
    classes: 2,
    classNames,
    length: standard,
    seed,
    symbolOf: (token) => (token === 0 ? "." : String(token - 1)),
    fingerprint: `parity shortest=${shortest ?? "all"} seed=${seed}`,
    source: generatedRows((...place) => labelledBits(bitsOf(...place)), { seed }),
  });
  const tagged = rowsView({
    name: "parity",
    length: standard,
    limit: usualLimit,
    form: nextForm,
    source: generatedRows((...place) => taggedBits(bitsOf(...place)), { seed }),
  });
  return { ...task, views: { ...task.views, tagged: { ...tagged, classes: 2, classNames } } };
}

function randomBits(key: RandomKey, length: number, shortest: number): number[] {
  if (shortest > length)
    throw new RangeError(`parity: the shortest row has ${shortest} bits, got a length of ${length}`);
  const draw = draws(key);
  return Array.from({ length: shortest + draw(length - shortest + 1) }, () => draw(2));
}

function labelledBits(bits: readonly number[]): LabelledRow {
  return { tokens: bits.map((bit) => 1 + bit), label: bits.reduce((parity, bit) => parity ^ bit, 0) };
}

function taggedBits(bits: readonly number[]): Row {
  let parity = 0;
  return {
    inputs: bits.map((bit) => 1 + bit),
    targets: bits.map((bit) => (parity ^= bit)),
    weights: bits.map(() => 1),
  };
}

export const parityEntry: TaskEntry<"parity", ParityOptions> = /* @__PURE__ */ taskEntry({
  name: "parity",
  title: "Parity",
  category: "generated",
  summary: "tell whether a row has an even or an odd number of ones",
  options: () =>
    z.strictObject({
      length: lengthOption(defaults.length),
      shortest: positionCount()
        .optional()
        .describe("training rows have from this many bits to as many as fit. Default: always as many as fit"),
      seed: seedOption(),
    }),
  make: (settings) => parityTask(present(settings)),
});
