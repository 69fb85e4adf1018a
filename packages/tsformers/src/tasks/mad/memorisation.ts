import { permutation, randomKey } from "@tsformers/engine";
import * as z from "zod";
import { present } from "../../schema/present.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask } from "./mad-task.ts";

const defaults = { vocabulary: 256, length: 32, trainingRows: 256, seed: 0 };

/** Draws the map, which is the same for every seed: its values are the facts to be learned, in training and evaluation alike. */
const mapSeed = 12_345;

/**
 * Memorisation of MAD: `k5 ?→v9 k2 ?→v0 …`. A fixed random map of keys to values that no row shows: a model has to keep it in its
 * parameters.
 *
 * A row has ⌊L / 2⌋ keys drawn at random, each followed by the insert mark, token V − 1, at which its value is expected. The other V − 1
 * tokens are ⌊(V − 1) / 2⌋ keys and as many or one more values; no two keys have the same value.
 *
 * Options are `vocabulary` (default 256), `length` (32), `trainingRows` (256), `seed` (0), which draws rows but not the map.
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 */
export function madMemorisationTask(options: MadOptions = {}): Task<{ readonly next: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const insert = settings.vocabulary - 1;
  const keys = Math.floor(insert / 2);
  if (keys < 1) throw new RangeError(`mad-memorisation: vocabulary must be at least 3, got ${settings.vocabulary}`);
  const values = permutation(randomKey(mapSeed), insert - keys).toNumbers();
  return madTask({
    name: "mad-memorisation",
    settings,
    view: "next",
    symbolOf: (token) => {
      if (token === insert) return "?";
      return token < keys ? `k${token}` : `v${token - keys}`;
    },
    row: (draw, length) => {
      const count = Math.floor(length / 2);
      if (count < 1)
        throw new RangeError(`mad-memorisation: a key and a mark need a length of at least 2, got ${length}`);
      const drawn = Array.from({ length: count }, () => draw(keys));
      return {
        inputs: drawn.flatMap((key) => [key, insert]),
        targets: drawn.flatMap((key) => [0, keys + values[key]!]),
        weights: drawn.flatMap(() => [0, 1]),
      };
    },
  });
}

export const madMemorisationEntry: TaskEntry<"mad-memorisation", MadOptions> = /* @__PURE__ */ taskEntry({
  name: "mad-memorisation",
  title: "Memorisation (MAD)",
  category: "generated",
  summary: "know by heart which value belongs to a key",
  options: () => z.strictObject(madOptions(defaults)),
  make: (settings) => madMemorisationTask(present(settings)),
});
