import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type RandomNumbers, randomNumbers } from "../draws.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import type { LabelledRow } from "../row-forms.ts";
import { generatedRows } from "../rows.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { evaluateSymbols, listOperators } from "./evaluate-list-ops.ts";

export type ListOpsOptions = {
  /** Expressions have more symbols than this. Default: a quarter of the length, as 500 of 2000 are in Long Range Arena. */
  readonly shortest?: number;
  /** The most operators within each other. Default: 9. */
  readonly nesting?: number;
  /** T; expressions have fewer symbols than this. Default: 512. Long Range Arena: 2000. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { nesting: 9, length: 512 };

const operators: readonly string[] = Object.keys(listOperators);
/** Token 0 is padding. */
const symbols: readonly string[] = [".", ..."0123456789", ...operators.map((name) => `[${name}`), "]"];
const [firstDigit, firstOperator, end] = [1, 11, 11 + operators.length];

/** Share of operators among the nodes that may be one. */
const operatorShare = 0.25;
const [fewestArguments, mostArguments] = [2, 10];

/**
 * ListOps: the value of nested operations on lists of digits, `[MAX 2 9 [MIN 4 7 ] 0 ]`, one of ten classes.
 *
 * A node is an operator with probability 1/4 and has 2 to 10 arguments, unless it is within `nesting` operators; all other nodes are digits. Trees are drawn
 * until one has more than `shortest` and fewer than `length` symbols, an operator and its end counting one each. About a sixth of
 * the rows have class 0, and nearly as many class 9. Tokens: 0 padding, digits 0 … 9, operators, the end of a list.
 *
 * @source Nangia & Bowman 2018, "ListOps", arXiv:1804.06028; lengths and shares of Tay et al. 2020, "Long Range Arena", §2.2.1, arXiv:2011.04006
 * @differs rows are drawn anew at each step instead of from 96,000 different ones; tokens have the same numbers in every run. As in the
 *   published input pipeline, the parentheses of the binary tree are left out
 */
export function listOpsTask(options: ListOpsOptions = {}): LabelledTask {
  const { nesting, length: standard, shortest, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(nesting) && nesting >= 1))
    throw new RangeError(`listops: nesting must be an integer ≥ 1, got ${nesting}`);
  return labelledTask({
    name: "listops",
    vocabularySize: symbols.length,
    classes: 10,
    length: standard,
    seed,
    symbolOf: (token) => symbols[token]!,
    fingerprint: `listops shortest=${shortest ?? "quarter"} nesting=${nesting} seed=${seed}`,
    source: generatedRows((key, length) => listOpsRow(key, { length, nesting, shortest }), { seed }),
  });
}

type Bounds = { readonly length: number; readonly nesting: number; readonly shortest: number | undefined };

/** Trees that are drawn before a length is given up. Of those that {@link listOpsTask} usually draws, one in about twenty fits. */
const mostTrees = 50_000;

function listOpsRow(key: RandomKey, { length, nesting, shortest = Math.floor(length / 4) }: Bounds): LabelledRow {
  const random = randomNumbers(key);
  const [fewest, most] = [Math.max(shortest + 1, 2 + fewestArguments), length - 1];
  if (fewest > most)
    throw new RangeError(
      `listops: expressions of more than ${shortest} symbols need a length above ${fewest}, got ${length}`,
    );
  for (let tree = 0; tree < mostTrees; tree++) {
    const tokens = drawTree(random, nesting, most);
    if (tokens !== undefined && tokens.length >= fewest)
      return { tokens, label: evaluateSymbols(tokens.map((token) => symbols[token]!)) };
  }
  throw new RangeError(
    `listops: of ${mostTrees.toLocaleString("en-US")} expressions of at most ${nesting} nested operators, none has more than ${shortest} and fewer than ${length} symbols`,
  );
}

/** The tokens of a tree from left to right; undefined as soon as it is sure to have more than `most`. */
function drawTree(random: RandomNumbers, nesting: number, most: number): number[] | undefined {
  const tokens: number[] = [];
  /** Arguments that each open operator still lacks. */
  const lacking: number[] = [];
  /** Symbols of the whole tree if all further nodes are digits. */
  let least = 1;
  do {
    if (lacking.at(-1) === 0) {
      tokens.push(end);
      lacking.pop();
      continue;
    }
    if (lacking.length > 0) lacking[lacking.length - 1]!--;
    if (lacking.length < nesting && random.next() < operatorShare) {
      const argumentCount = fewestArguments + random.below(mostArguments - fewestArguments + 1);
      tokens.push(firstOperator + random.below(operators.length));
      lacking.push(argumentCount);
      least += argumentCount + 1;
      if (least > most) return undefined;
    } else tokens.push(firstDigit + random.below(10));
  } while (lacking.length > 0);
  return tokens;
}

export type ListOpsSettings = ListOpsOptions;

export const listOpsEntry: TaskEntry<"listops", ListOpsSettings> = /* @__PURE__ */ taskEntry({
  name: "listops",
  title: "ListOps",
  category: "generated",
  summary: "work out nested operations on lists of digits (Long Range Arena)",
  options: () =>
    z.strictObject({
      shortest: positionCount(0)
        .optional()
        .describe("expressions have more symbols than this. Default: a quarter of the length"),
      nesting: count(100, "deeper trees are hardly ever drawn")
        .default(defaults.nesting)
        .describe("the most operators within each other"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => listOpsTask(present(settings)),
});
