import * as z from "zod";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type Draw, distinct } from "../draws.ts";
import { causalRow, type Row } from "../row-forms.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask, type Purpose } from "./mad-task.ts";
import { type RecallVocabulary, recallSymbol, recallVocabulary } from "./recall-row.ts";

export type MadFuzzyRecallOptions = MadOptions & {
  /** Most tokens of a key. Default: 3. */
  readonly keyTokens?: number;
  /** Most tokens of a value. Default: 3. */
  readonly valueTokens?: number;
};

const defaults = { vocabulary: 16, length: 128, trainingRows: 12_800, seed: 0, keyTokens: 3, valueTokens: 3 };

/**
 * Fuzzy in-context recall of MAD: as in-context recall, but keys and values are words of several tokens, `k3 k1 v5 k0 v2 v6 …`.
 *
 * A key has 1 to `keyTokens` different tokens, a value 1 to `valueTokens`, each number as likely; keys of evaluation always have
 * `keyTokens`. The last pair of a row is one that came before. Rows are filled up with padding, token V − 1, on their left. Training scores
 * every next token, padding included; evaluation all tokens of the values of keys that came before.
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 * @differs there, in a small part of the rows the pair asked for at the end did not come before
 */
export function madFuzzyRecallTask(options: MadFuzzyRecallOptions = {}): Task<{ readonly next: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const { keyTokens, valueTokens } = settings;
  const vocabulary = recallVocabulary("mad-fuzzy-recall", settings.vocabulary - 1);
  for (const [name, most, symbols] of [
    ["keyTokens", keyTokens, vocabulary.keys],
    ["valueTokens", valueTokens, vocabulary.values],
  ] as const) {
    if (!(Number.isInteger(most) && most >= 1 && most <= symbols)) {
      throw new RangeError(
        `mad-fuzzy-recall: ${name} must be an integer from 1 to ${symbols}, as many as there are different ones at vocabulary ${settings.vocabulary}, got ${most}`,
      );
    }
  }
  return madTask({
    name: "mad-fuzzy-recall",
    settings,
    view: "next",
    scoredApart: true,
    symbolOf: recallSymbol(vocabulary),
    row: (draw, length, purpose) => fuzzyRow(draw, length, purpose, { vocabulary, keyTokens, valueTokens }),
  });
}

function fuzzyRow(
  draw: Draw,
  length: number,
  purpose: Purpose,
  options: { readonly vocabulary: RecallVocabulary; readonly keyTokens: number; readonly valueTokens: number },
): Row {
  const { vocabulary, keyTokens, valueTokens } = options;
  const { keys, values } = vocabulary;
  const longest = keyTokens + valueTokens;
  if (length <= 3 * longest) {
    throw new RangeError(
      `mad-fuzzy-recall: words of up to ${keyTokens} and ${valueTokens} tokens need a length of at least ${3 * longest + 1}, got ${length}`,
    );
  }
  const newKey = (): number[] => distinct(draw, purpose === "train" ? 1 + draw(keyTokens) : keyTokens, keys);
  const newValue = (): number[] => distinct(draw, 1 + draw(valueTokens), values).map((token) => keys + token);

  const valueAt = new Map<string, readonly number[]>();
  const tokens: number[] = [];
  const known = new Set<number>();
  const addPair = (key: readonly number[], makeValue: () => readonly number[]): void => {
    const [name, start] = [key.join(), tokens.length + key.length];
    const value = valueAt.get(name) ?? makeValue();
    if (valueAt.has(name)) value.forEach((_, at) => void known.add(start + at));
    else valueAt.set(name, value);
    tokens.push(...key, ...value);
  };

  const [askedKey, askedValue] = [newKey(), newValue()];
  const asked = askedKey.join();
  // Pairs begin at most `longest` apart, so that one begins between the place drawn and the end.
  const end = length - askedKey.length - askedValue.length - longest;
  const place = draw(end - longest);
  while (tokens.length < end) {
    const key = tokens.length >= place && !valueAt.has(asked) ? askedKey : newKey();
    addPair(key, key.join() === asked ? () => askedValue : newValue);
  }
  addPair(askedKey, () => askedValue);
  const padding = length + 1 - tokens.length;
  const row = [...new Array<number>(padding).fill(keys + values), ...tokens];
  return causalRow(row, (index) => purpose === "train" || known.has(index - padding));
}

export const madFuzzyRecallEntry: TaskEntry<"mad-fuzzy-recall", MadFuzzyRecallOptions> = /* @__PURE__ */ taskEntry({
  name: "mad-fuzzy-recall",
  title: "Fuzzy in-context recall (MAD)",
  category: "generated",
  summary: "give the value that a key had earlier, both of several tokens",
  options: () =>
    z.strictObject({
      ...madOptions(defaults),
      keyTokens: count(1000, "a row holds three of them").default(defaults.keyTokens).describe("most tokens of a key"),
      valueTokens: count(1000, "a row holds three of them")
        .default(defaults.valueTokens)
        .describe("most tokens of a value"),
    }),
  make: (settings) => madFuzzyRecallTask(present(settings)),
});
