import { foldIn, integers, permutation, type RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import type { LabelledRow } from "../row-forms.ts";
import { generatedRows } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";

export type MajorityOptions = {
  /** Number of different symbols, each of which is a class. Default: 4. */
  readonly symbols?: number;
  /** T, positions of a training row. Default: 64. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 4, length: 64 };

/**
 * Which symbol occurs most often: a row of random symbols in random order, where one symbol occurs once more than each of the others. The
 * class is that symbol. No single position reveals it: a model has to count over the whole row.
 *
 * A row holds each symbol equally often and one symbol once more, as often as the length allows; the rest is padding. Tokens: 0 padding,
 * then the symbols.
 */
export function majorityTask(options: MajorityOptions = {}): LabelledTask {
  const { symbols, length: standard, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(symbols) && symbols >= 2))
    throw new RangeError(`majority: symbols must be an integer ≥ 2, got ${symbols}`);
  return labelledTask({
    name: "majority",
    vocabularySize: symbols + 1,
    classes: symbols,
    length: standard,
    seed,
    classNames: Array.from({ length: symbols }, (_, symbol) => String(symbol + 1)),
    fingerprint: `majority symbols=${symbols} seed=${seed}`,
    source: generatedRows((key, length) => majorityRow(key, length, symbols), { seed }),
  });
}

function majorityRow(key: RandomKey, length: number, symbols: number): LabelledRow {
  const each = Math.floor((length - 1) / symbols);
  if (each < 1) throw new RangeError(`majority: ${symbols} symbols need a length above ${symbols}, got ${length}`);
  const label = integers(foldIn(key, 0), [], { high: symbols }).item();
  const tokens = [...Array.from({ length: symbols * each }, (_, i) => 1 + (i % symbols)), 1 + label];
  const order = permutation(foldIn(key, 1), tokens.length).toNumbers();
  return { tokens: order.map((from) => tokens[from]!), label };
}

export type MajoritySettings = MajorityOptions;

export const majorityEntry: TaskEntry<"majority", MajoritySettings> = /* @__PURE__ */ taskEntry({
  name: "majority",
  title: "Majority",
  category: "generated",
  summary: "tell which symbol occurs most often (classification)",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => majorityTask(settings),
});
