import * as z from "zod";
import { present } from "../../schema/present.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask } from "./mad-task.ts";
import { recallRow, recallSymbol, recallVocabulary } from "./recall-row.ts";

const defaults = { vocabulary: 16, length: 128, trainingRows: 12_800, seed: 0 };

/**
 * In-context recall of MAD: `k3 v1 k0 v6 k3 v1 …`. Pairs of random keys, each with a random value that it keeps through the row.
 *
 * A row has ⌊L / 2⌋ pairs, the last one of a key that came before; inputs are all of it but its last token. Training scores every next
 * token, evaluation only the values of keys that came before, which can be known.
 *
 * Options are `vocabulary` (default 16: 8 keys, 8 values), `length` (128), `trainingRows` (12,800), `seed` (0).
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 */
export function madRecallTask(options: MadOptions = {}): Task<{ readonly next: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const vocabulary = recallVocabulary("mad-recall", settings.vocabulary);
  return madTask({
    name: "mad-recall",
    settings,
    view: "next",
    scoredApart: true,
    symbolOf: recallSymbol(vocabulary),
    row: (draw, length, purpose) => recallRow("mad-recall", draw, { vocabulary, length, purpose }),
  });
}

export const madRecallEntry: TaskEntry<"mad-recall", MadOptions> = /* @__PURE__ */ taskEntry({
  name: "mad-recall",
  title: "In-context recall (MAD)",
  category: "generated",
  summary: "give the value that a key had earlier in the row",
  options: () => z.strictObject(madOptions(defaults)),
  make: (settings) => madRecallTask(present(settings)),
});
