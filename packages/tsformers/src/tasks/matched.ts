import { present } from "../schema/present.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import { tokenViews, usualRows } from "./labelled.ts";
import { accuracy, classLoss } from "./metric.ts";
import { type MatchedRow, matchedForm } from "./row-forms.ts";
import { type RowSource, rowsView } from "./rows.ts";
import type { Task, TaskViews } from "./task.ts";

export type MatchedTask = Task<Required<Pick<TaskViews, "matched" | "next" | "masked">>>;

/**
 * A task of pairs of rows with a class for both. Token 0 is padding.
 *
 * Besides the classes it offers the first row of each pair, to be predicted token by token or filled in.
 *
 * @param options.limit default of the pairs scored in an evaluation. Default: 512
 */
export function matchedTask(options: {
  readonly name: string;
  readonly vocabularySize: number;
  readonly classNames: readonly string[];
  readonly length: number;
  readonly fingerprint: string;
  readonly seed: number;
  readonly source: RowSource<MatchedRow>;
  readonly limit?: number;
  readonly tokenizer?: Tokenizer;
}): MatchedTask {
  const { source, seed, classNames, limit = usualRows, ...about } = options;
  const view = rowsView({ ...about, source, limit, form: matchedForm });
  return {
    ...present(about),
    metrics: [classLoss, accuracy],
    usualView: "matched",
    views: {
      matched: { ...view, classes: classNames.length, classNames },
      ...tokenViews(view, { ...about, seed, limit }),
    },
  };
}
