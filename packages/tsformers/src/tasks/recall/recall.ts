import { integers, permutation, type RandomKey, splitKey } from "@tsformers/engine";
import * as z from "zod";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, type Row } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";

export type RecallOptions = {
  /** Number of different keys. Default: 16. */
  readonly keys?: number;
  /** Number of different values. Default: 16. */
  readonly values?: number;
  /** T of a training row. Default: 64, which is 16 pairs and 16 questions. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { keys: 16, values: 16, length: 64 };

/** Separates the pairs from the questions. */
const separator = 0;
/** Fills rows that are longer than their pairs and questions. */
const blank = 1;

/**
 * Multi-query associative recall: pairs of a key and a value, then each key again in another order, each to be followed by
 * its value: `a 7 c 2 b 7 | c 2 a 7 b 7`. Only the values of the second part are scored.
 *
 * Keys of a row are distinct. A row has n = min(⌊T / 4⌋, keys) pairs, and T − 4n blanks before the separator: for
 * `T > 4 · keys` a longer row asks the same questions over a longer distance.
 * Tokens: 0 separator, 1 blank, then the keys, then the values.
 *
 * @source Arora et al. 2023, "Zoology", §3, arXiv:2312.04927 (multi-query associative recall)
 * @differs here the distance is between pairs and questions; `mqar` is the task as published, where the gaps
 *   before questions follow a power law
 */
export function recallTask(options: RecallOptions = {}): Task<Required<Pick<TaskViews, "next">>> {
  const { keys, values, length, seed = 0 } = { ...defaults, ...options };
  for (const [name, count] of Object.entries({ keys, values })) {
    if (!(Number.isInteger(count) && count >= 2)) {
      throw new RangeError(`recall: ${name} must be an integer ≥ 2, got ${count}`);
    }
  }
  return {
    name: "recall",
    vocabularySize: 2 + keys + values,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => {
      if (token < 2) return token === separator ? "|" : ".";
      return token < 2 + keys ? `k${token - 2}` : `v${token - 2 - keys}`;
    },
    fingerprint: `recall keys=${keys} values=${values} seed=${seed}`,
    views: {
      next: rowsView({
        name: "recall",
        length,
        limit: usualLimit,
        source: generatedRows((key, rowLength) => recallRow(key, rowLength, keys, values), { seed }),
        form: nextForm,
      }),
    },
  };
}

function recallRow(key: RandomKey, length: number, keys: number, values: number): Row {
  const count = Math.min(Math.floor(length / 4), keys);
  if (count < 1) throw new RangeError(`recall: a pair and a question need a length of at least 4, got ${length}`);
  const [keyOfKeys, keyOfValues, keyOfOrder] = splitKey(key, 3);
  const chosen = permutation(keyOfKeys!, keys).toNumbers().slice(0, count);
  const answers = integers(keyOfValues!, [count], { high: values }).toNumbers();
  const pairs = chosen.map((symbol, index) => [2 + symbol, 2 + keys + answers[index]!]);
  const questions = permutation(keyOfOrder!, count)
    .toNumbers()
    .map((index) => pairs[index]!);
  const distance = new Array<number>(length - 4 * count).fill(blank);
  const tokens = [...pairs.flat(), ...distance, separator, ...questions.flat()];
  const firstQuestion = tokens.length - 2 * count;
  return causalRow(tokens, (index) => index > firstQuestion && (index - firstQuestion) % 2 === 1);
}

export type RecallSettings = RecallOptions;

export const recallEntry: TaskEntry<"recall", RecallSettings> = /* @__PURE__ */ taskEntry({
  name: "recall",
  title: "Associative recall",
  category: "generated",
  summary: "look up values by their keys (associative recall)",
  options: () =>
    z.strictObject({
      keys: symbolCount().default(defaults.keys).describe("how many different keys there are"),
      values: symbolCount().default(defaults.values).describe("how many different values there are"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => recallTask(settings),
});
