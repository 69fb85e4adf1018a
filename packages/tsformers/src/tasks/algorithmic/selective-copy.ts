import * as z from "zod";
import { count as countOption, positionCount } from "../../schema/count.ts";
import { distinct, draws } from "../draws.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { nextForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { type CopyPlaces, copyingRow, copyingSymbol, requireCopying } from "./copying-rows.ts";

export type SelectiveCopyOptions = {
  /** Number of different tokens, blank and mark included. Default: 16. */
  readonly vocabulary?: number;
  /** Tokens to copy. Default: 16. */
  readonly tokens?: number;
  /** T of a training row, at least twice the tokens. Default: 256; Mamba has 4096 places before the marks. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { vocabulary: 16, tokens: 16, length: 256 };

const anywhere: CopyPlaces = (draw, count, room) => distinct(draw, count, room).sort((a, b) => a - b);

/**
 * Selective copying: `. 3 . . 7 1 . ?→3 ?→7 ?→1`. Random tokens at random places among blanks, then as many marks as there are tokens, at
 * which the tokens are expected in their order. A model has to choose what it keeps: the places differ from row to row.
 *
 * Tokens are 0 … V − 3, the blank is V − 2, the mark V − 1. All sets of places are equally likely. A longer row has more blanks.
 *
 * @source Jing et al. 2019, "Gated Orthogonal Recurrent Units", arXiv:1706.02761 (its denoising task); Gu & Dao 2023, "Mamba", §4.1.1,
 *   arXiv:2312.00752 (its size)
 */
export function selectiveCopyTask(options: SelectiveCopyOptions = {}): Task<Required<Pick<TaskViews, "next">>> {
  const { vocabulary, tokens: count, length: standard, seed = 0 } = { ...defaults, ...options };
  requireCopying("selective-copy", { vocabulary, tokens: count });
  const question = new Array<number>(count).fill(vocabulary - 1);
  return {
    name: "selective-copy",
    vocabularySize: vocabulary,
    length: standard,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: copyingSymbol(vocabulary),
    fingerprint: `selective-copy vocabulary=${vocabulary} tokens=${count} seed=${seed}`,
    views: {
      next: rowsView({
        name: "selective-copy",
        length: standard,
        limit: usualLimit,
        form: nextForm,
        source: generatedRows(
          (key, length) =>
            copyingRow("selective-copy", draws(key), { vocabulary, count, length, places: anywhere, question }),
          { seed },
        ),
      }),
    },
  };
}

export const selectiveCopyEntry: TaskEntry<"selective-copy", SelectiveCopyOptions> = /* @__PURE__ */ taskEntry({
  name: "selective-copy",
  title: "Selective copying",
  category: "generated",
  summary: "copy the tokens that stand at random places among blanks",
  options: () =>
    z.strictObject({
      vocabulary: countOption(1_000_000, "the vocabulary is made in memory", 4)
        .default(defaults.vocabulary)
        .describe("how many different tokens there are, blank and mark included"),
      tokens: positionCount().default(defaults.tokens).describe("how many tokens are to be copied"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => selectiveCopyTask(settings),
});
