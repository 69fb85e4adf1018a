import * as z from "zod";
import { present } from "../../schema/present.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask } from "./mad-task.ts";

const defaults = { vocabulary: 16, length: 32, trainingRows: 12_800, seed: 0 };

/**
 * Compression of MAD: a row of random tokens that ends with the compression mark, token V − 1; the whole row is to be given back from the
 * state at that mark alone (objective `reconstruct`). All positions are scored, the mark included.
 *
 * Options are `vocabulary` (default 16), `length` (32), `trainingRows` (12,800), `seed` (0).
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 */
export function madCompressionTask(options: MadOptions = {}): Task<{ readonly reconstructed: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const mark = settings.vocabulary - 1;
  if (mark < 2) throw new RangeError(`mad-compression: vocabulary must be at least 3, got ${settings.vocabulary}`);
  return madTask({
    name: "mad-compression",
    settings,
    view: "reconstructed",
    symbolOf: (token) => (token === mark ? "|" : String(token)),
    row: (draw, length) => {
      if (length < 2)
        throw new RangeError(`mad-compression: a token and the mark need a length of at least 2, got ${length}`);
      const tokens = [...Array.from({ length: length - 1 }, () => draw(mark)), mark];
      return { inputs: tokens, targets: tokens, weights: tokens.map(() => 1) };
    },
  });
}

export const madCompressionEntry: TaskEntry<"mad-compression", MadOptions> = /* @__PURE__ */ taskEntry({
  name: "mad-compression",
  title: "Compression (MAD)",
  category: "generated",
  summary: "give a row of random tokens back from one state",
  options: () => z.strictObject(madOptions(defaults)),
  make: (settings) => madCompressionTask(present(settings)),
});
