import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type CopyPlaces, copyingRow, copyingSymbol, requireCopying } from "../algorithmic/copying-rows.ts";
import type { Batch, Task, TaskView } from "../task.ts";
import { type TaskEntry, taskEntry } from "../task-entry.ts";
import { type MadOptions, madOptions, madTask } from "./mad-task.ts";

export type MadSelectiveCopyOptions = MadOptions & {
  /** Tokens to copy. Default: 16. */
  readonly tokens?: number;
};

const defaults = { vocabulary: 16, length: 256, trainingRows: 12_800, seed: 0, tokens: 16 };

/** Each blank goes before one of the tokens, whichever: the last token is the last of the places. */
const blanksBeforeTokens: CopyPlaces = (draw, count, room) => {
  const before = new Array<number>(count).fill(0);
  for (let blank = 0; blank < room - count; blank++) before[draw(count)]!++;
  let place = -1;
  return before.map((blanks) => (place += blanks + 1));
};

/**
 * Selective copying of MAD: `. . 3 . 7 . . 1 ? .→3 .→7 .→1`. Random tokens with blanks before them at random, the copy mark, then as many
 * blanks as there are tokens, at which the tokens are expected in their order.
 *
 * Tokens are 0 … V − 3, the blank is V − 2, the mark V − 1. Each blank before the mark stands before one of the n tokens, each of which is
 * as likely; L must be at least 2n + 1.
 *
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and its published code
 */
export function madSelectiveCopyTask(options: MadSelectiveCopyOptions = {}): Task<{ readonly next: TaskView<Batch> }> {
  const settings = { ...defaults, ...options };
  const { vocabulary, tokens: count } = settings;
  requireCopying("mad-selective-copy", settings);
  const question = [vocabulary - 1, ...new Array<number>(count).fill(vocabulary - 2)];
  return madTask({
    name: "mad-selective-copy",
    settings,
    view: "next",
    symbolOf: copyingSymbol(vocabulary),
    row: (draw, length) =>
      copyingRow("mad-selective-copy", draw, { vocabulary, count, length, places: blanksBeforeTokens, question }),
  });
}

export const madSelectiveCopyEntry: TaskEntry<"mad-selective-copy", MadSelectiveCopyOptions> =
  /* @__PURE__ */ taskEntry({
    name: "mad-selective-copy",
    title: "Selective copying (MAD)",
    category: "generated",
    summary: "copy the tokens that stand among blanks, after a mark",
    options: () =>
      z.strictObject({
        ...madOptions(defaults),
        tokens: positionCount().default(defaults.tokens).describe("how many tokens are to be copied"),
      }),
    make: (settings) => madSelectiveCopyTask(present(settings)),
  });
