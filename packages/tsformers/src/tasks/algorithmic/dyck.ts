import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { draws } from "../draws.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, type Row } from "../row-forms.ts";
import { generatedRows, type MakeRow, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

export type DyckOptions = {
  /** k, kinds of brackets. Default: 4. */
  readonly kinds?: number;
  /** m, most brackets that are open at a time. Default: 8. */
  readonly maxDepth?: number;
  /** T of a training row. Default: 64. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { kinds: 4, maxDepth: 8, length: 64 };

/** Ends the brackets that are drawn: from here on, those that are open are closed. Also padding. */
const mark = 0;

/** How brackets of the first kinds are written. */
const pairs = ["()", "[]", "{}", "<>"];

/**
 * Nested brackets of k kinds, at most m of them open at a time: the language Dyck-(k, m).
 *
 * To be continued (view `next`): brackets drawn at random, then a mark, then the brackets that close those still open: `( [ ] { |→} }→)`.
 * Only these are scored; they follow from what is before them, for which a model needs a stack.
 * As classes (view `tagged`): at each bracket how many are open after it, 0 … m.
 *
 * The brackets before the mark are the odd number n ≤ T − m, so that at least one is open: a random walk that opens or closes with equal
 * probability, opens at depth 0 and closes at depth m. Tokens: 0 mark and padding, 1 … k opening, k + 1 … 2k closing.
 *
 * @source Hewitt et al. 2020, "RNNs Can Generate Bounded Hierarchical Languages with Optimal Memory", arXiv:2010.07515
 * @differs there, all rows are whole words without a mark, and what is measured is the kind of each closing bracket, given that one comes
 */
export function dyckTask(options: DyckOptions = {}): Task<Required<Pick<TaskViews, "next" | "tagged">>> {
  const { kinds, maxDepth, length: standard, seed = 0 } = { ...defaults, ...options };
  for (const [name, value] of Object.entries({ kinds, maxDepth })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new RangeError(`dyck: ${name} must be an integer ≥ 1, got ${value}`);
    }
  }
  const view = (make: MakeRow<Row>) =>
    rowsView({
      name: "dyck",
      length: standard,
      limit: usualLimit,
      form: nextForm,
      source: generatedRows(make, { seed }),
    });
  const drawn = (key: RandomKey, length: number) => brackets(key, { length, kinds, maxDepth });
  return {
    name: "dyck",
    vocabularySize: 2 * kinds + 1,
    length: standard,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => {
      if (token === mark) return "|";
      const kind = (token - 1) % kinds;
      const side = token <= kinds ? 0 : 1;
      return pairs[kind]?.[side] ?? `${"()"[side]}${kind}`;
    },
    fingerprint: `dyck kinds=${kinds} depth=${maxDepth} seed=${seed}`,
    views: {
      next: view((key, length) => {
        const { tokens, open } = drawn(key, length);
        const closing = open.toReversed().map((kind) => 1 + kinds + kind);
        return causalRow([...tokens, mark, ...closing], (index) => index > tokens.length);
      }),
      tagged: {
        ...view((key, length) => {
          const { tokens, depths } = drawn(key, length);
          return { inputs: tokens, targets: depths, weights: depths.map(() => 1) };
        }),
        classes: maxDepth + 1,
      },
    },
  };
}

type Brackets = {
  readonly tokens: readonly number[];
  /** How many are open after each. */
  readonly depths: readonly number[];
  /** Kinds of those open at the end, the innermost last. */
  readonly open: readonly number[];
};

function brackets(
  key: RandomKey,
  { length, kinds, maxDepth }: { readonly length: number; readonly kinds: number; readonly maxDepth: number },
): Brackets {
  const room = length - maxDepth;
  if (room < 1) throw new RangeError(`dyck: a depth of ${maxDepth} needs a length above ${maxDepth}, got ${length}`);
  const draw = draws(key);
  const [tokens, depths, open]: [number[], number[], number[]] = [[], [], []];
  for (let left = room - ((room + 1) % 2); left > 0; left--) {
    const opens = open.length === 0 || (open.length < maxDepth && draw(2) === 0);
    if (opens) open.push(draw(kinds));
    tokens.push(opens ? 1 + open.at(-1)! : 1 + kinds + open.pop()!);
    depths.push(open.length);
  }
  return { tokens, depths, open };
}

export const dyckEntry: TaskEntry<"dyck", DyckOptions> = /* @__PURE__ */ taskEntry({
  name: "dyck",
  title: "Nested brackets",
  category: "generated",
  summary: "close open brackets in order, or tell how many are open (Dyck)",
  options: () =>
    z.strictObject({
      kinds: count(100_000, "the vocabulary is made in memory").default(defaults.kinds).describe("kinds of brackets"),
      maxDepth: count(1000, "each depth is a class")
        .default(defaults.maxDepth)
        .describe("most brackets open at a time"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => dyckTask(settings),
});
