import * as z from "zod";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask, shareOption } from "./mad-task.ts";
import { recallRow, recallSymbol, recallVocabulary } from "./recall-row.ts";

export type MadNoisyRecallOptions = MadOptions & {
  /** Number of different noise tokens, which are part of the vocabulary. Default: 16. */
  readonly noiseTokens?: number;
  /** Share of pairs that are noise. Default: 0.2. */
  readonly noise?: number;
};

const defaults = { vocabulary: 32, length: 128, trainingRows: 12_800, seed: 0, noiseTokens: 16, noise: 0.2 };

/**
 * Noisy in-context recall of MAD: `k3 v1 n9 n2 k0 v6 k3 v1 …`. As in-context recall, with two tokens of noise in place of a part of the
 * pairs.
 *
 * At least one pair before the last is none of noise. What is scored is as in in-context recall: in training every next token, noise
 * included; in evaluation the values of keys that came before.
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 * @differs there, the pair that is spared may be the last one, so that a row could be noise alone
 */
export function madNoisyRecallTask(options: MadNoisyRecallOptions = {}): Task<{ readonly next: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const { noise, noiseTokens } = settings;
  const vocabulary = recallVocabulary("mad-noisy-recall", settings.vocabulary, noiseTokens);
  if (!(noise >= 0 && noise < 1)) {
    throw new RangeError(`mad-noisy-recall: noise must be a share from 0 to below 1, got ${noise}`);
  }
  return madTask({
    name: "mad-noisy-recall",
    settings,
    view: "next",
    scoredApart: true,
    symbolOf: recallSymbol(vocabulary),
    row: (draw, length, purpose) => recallRow("mad-noisy-recall", draw, { vocabulary, noise, length, purpose }),
  });
}

export const madNoisyRecallEntry: TaskEntry<"mad-noisy-recall", MadNoisyRecallOptions> = /* @__PURE__ */ taskEntry({
  name: "mad-noisy-recall",
  title: "Noisy in-context recall (MAD)",
  category: "generated",
  summary: "give the value that a key had earlier in a row with noise",
  options: () =>
    z.strictObject({
      ...madOptions(defaults),
      noiseTokens: count(1_000_000, "the vocabulary is made in memory")
        .default(defaults.noiseTokens)
        .describe("how many different noise tokens the vocabulary has"),
      noise: shareOption().default(defaults.noise).describe("share of pairs that are noise"),
    }),
  make: (settings) => madNoisyRecallTask(present(settings)),
});
