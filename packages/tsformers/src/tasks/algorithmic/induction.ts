import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { draws } from "../draws.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { nextForm, type Row } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";

export type InductionOptions = {
  /** Number of different symbols besides the special token. Default: 15. */
  readonly symbols?: number;
  /** T of a training row. Default: 256. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 15, length: 256 };

/** Comes twice in a row, the second time at its end. */
const special = 0;

/**
 * Induction: `7 4 * 9 2 7 *→9`. A row of random symbols in which a special token stands at a random place and at the end; what followed it
 * the first time is expected then. Only the last position is scored. Longer rows ask the same over a longer distance.
 *
 * Tokens: 0 the special one, then the symbols. Its first place is uniformly distributed over 0 … T − 3.
 *
 * @source Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et al. 2022, "In-context Learning and Induction
 *   Heads", arXiv:2209.11895; as a task of one special token: Dao et al. 2022, "Hungry Hungry Hippos", §3.1, arXiv:2212.14052
 */
export function inductionTask(options: InductionOptions = {}): Task<Required<Pick<TaskViews, "next">>> {
  const { symbols, length: standard, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(symbols) && symbols >= 2)) {
    throw new RangeError(`induction: symbols must be an integer ≥ 2, got ${symbols}`);
  }
  return {
    name: "induction",
    vocabularySize: symbols + 1,
    length: standard,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => (token === special ? "*" : String(token)),
    fingerprint: `induction symbols=${symbols} seed=${seed}`,
    views: {
      next: rowsView({
        name: "induction",
        length: standard,
        limit: usualRows,
        form: nextForm,
        source: generatedRows((key, length) => inductionRow(key, length, symbols), { seed }),
      }),
    },
  };
}

/** Default of the rows scored in an evaluation, one position each. */
const usualRows: number = usualLimit / 8;

function inductionRow(key: RandomKey, length: number, symbols: number): Row {
  if (length < 3) {
    throw new RangeError(`induction: the special token, another and the special one need a length of 3, got ${length}`);
  }
  const draw = draws(key);
  const inputs = Array.from({ length }, () => 1 + draw(symbols));
  const place = draw(length - 2);
  inputs[place] = special;
  inputs[length - 1] = special;
  const none = new Array<number>(length - 1).fill(0);
  return { inputs, targets: [...none, inputs[place + 1]!], weights: [...none, 1] };
}

export const inductionEntry: TaskEntry<"induction", InductionOptions> = /* @__PURE__ */ taskEntry({
  name: "induction",
  title: "Induction",
  category: "generated",
  summary: "say what followed a special token the first time",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many symbols there are besides the special token"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => inductionTask(settings),
});
