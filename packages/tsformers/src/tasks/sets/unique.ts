import { foldIn, integers, permutation, type RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import type { LabelledRow } from "../row-forms.ts";
import { generatedRows } from "../rows.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";

export type UniqueOptions = {
  /** Number of different symbols. Default: 10. */
  readonly symbols?: number;
  /** In how many ways each symbol is written, each of which is a token. Default: 4. */
  readonly forms?: number;
  /** The most elements of a training set. Default: 10. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 10, forms: 4, length: 10 };

/**
 * How many different symbols a set has: `3a 7b 3c` has two. Each symbol is written in several forms, which a model has to learn to be the same;
 * the order of a set carries nothing.
 *
 * A set has ⌈0.6 T⌉ to T elements, of 1 to as many symbols as there are elements, each number as often. Tokens: 0 padding, then the forms of the first symbol, of the second, …
 * Class c is c + 1 symbols.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.2, arXiv:1810.00825 (counting unique characters, sets of 6 to 10)
 * @differs forms are tokens here, and images of handwritten Omniglot characters in the paper, with other characters in the test
 */
export function uniqueTask(options: UniqueOptions = {}): LabelledTask {
  const { symbols, forms, length, seed = 0 } = { ...defaults, ...options };
  for (const [name, value, least] of [
    ["symbols", symbols, 2],
    ["forms", forms, 1],
  ] as const)
    if (!(Number.isInteger(value) && value >= least))
      throw new RangeError(`unique: ${name} must be an integer ≥ ${least}, got ${value}`);
  return labelledTask({
    name: "unique",
    vocabularySize: 1 + symbols * forms,
    classes: symbols,
    classNames: Array.from({ length: symbols }, (_, label) => String(label + 1)),
    length,
    seed,
    symbolOf: (token) => {
      if (token === 0) return "-";
      const symbol = Math.floor((token - 1) / forms) + 1;
      return forms === 1 ? String(symbol) : `${symbol}${formName((token - 1) % forms)}`;
    },
    fingerprint: `unique symbols=${symbols} forms=${forms} seed=${seed}`,
    source: generatedRows((key, rowLength) => uniqueRow(key, rowLength, symbols, forms), { seed }),
  });
}

/** a, b, …, z, and then numbers. */
function formName(form: number): string {
  return form < 26 ? String.fromCharCode(97 + form) : `:${form + 1}`;
}

function uniqueRow(key: RandomKey, length: number, symbols: number, forms: number): LabelledRow {
  const draw = (of: number, count: number, low: number, high: number): number[] =>
    integers(foldIn(key, of), [count], { low, high }).toNumbers();
  const [size] = draw(0, 1, Math.ceil(0.6 * length), length + 1) as [number];
  const [different] = draw(1, 1, 1, Math.min(size, symbols) + 1) as [number];
  const chosen = permutation(foldIn(key, 2), symbols).toNumbers().slice(0, different);
  const elements = [...chosen, ...draw(3, size - different, 0, different).map((which) => chosen[which]!)];
  const written = draw(4, size, 0, forms);
  const order = permutation(foldIn(key, 5), size).toNumbers();
  return { tokens: order.map((from) => 1 + elements[from]! * forms + written[from]!), label: different - 1 };
}

export type UniqueSettings = UniqueOptions;

export const uniqueEntry: TaskEntry<"unique", UniqueSettings> = /* @__PURE__ */ taskEntry({
  name: "unique",
  title: "Different symbols of a set",
  category: "generated",
  summary: "tell how many different symbols a set has (classification of sets)",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
      forms: count(1000, "each is a token").default(defaults.forms).describe("in how many ways a symbol is written"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => uniqueTask(settings),
});
