import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { distinct, draws, weightedDistinct } from "../draws.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { nextForm, type Row } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { trainingRowsOption, trainingRowsText } from "../training-rows.ts";
import { mixLength, mqarMix } from "./mqar-mix.ts";
import { mqarProtocol } from "./mqar-protocol.ts";

export type MqarOptions = {
  /** V, half of them keys and half values. Default: 8192. */
  readonly vocabulary?: number;
  /** N, pairs of a row, each of which is asked for once. Default: 4, or those of the mix. */
  readonly pairs?: number;
  /** L, positions of a training row, at least 4N. Default: 64, or those of the mix. */
  readonly length?: number;
  /** Trains on the published lengths and numbers of pairs together, and tests with the published ones: {@link mqarProtocol}. Default: false. */
  readonly mixed?: boolean;
  /** Whether positions that ask nothing hold random tokens of the whole vocabulary; otherwise token 0. Default: true. */
  readonly randomNonQueries?: boolean;
  /** Exponent a of the gaps: 1 makes them uniform. Default: 0.01. */
  readonly powerLaw?: number;
  /** Default: each training row is a new one. Published: 180,000 with the mix. */
  readonly trainingRows?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { vocabulary: 8192, randomNonQueries: true, powerLaw: 0.01, mixed: false, seed: 0 };
const usualPairs = 4;
const usualLength = 64;

/**
 * Multi-query associative recall (MQAR) as published: `k₁ v₁ … k_N v_N`, then each key once more among random tokens, and there its value
 * is to be given.
 *
 * Keys are drawn from 1 … V/2 − 1, values from V/2 … V − 1, both without replacement. The key of pair i stands again 2·g places behind the
 * pairs, its gap g drawn without replacement from `p(x) ∝ a·x^(a−1)`, x = g + 1 = 1 … ⌊(L − 2N) / 2⌋. Only these N places are scored: the
 * target is the value, which does not follow in the row. All other places behind the pairs are random tokens.
 *
 * With `mixed`, batches of the published lengths and numbers of pairs follow one another: {@link mqarMix}.
 *
 * @source Arora et al. 2023, "Zoology: Measuring and Improving Recall in Efficient Language Models", §4 and its published code,
 *   arXiv:2312.04927
 * @differs an odd L is allowed: its last place asks nothing; batches of the mix come in random order, in the published code one size after another
 */
export function mqarTask(options: MqarOptions = {}): Task<Required<Pick<TaskViews, "next">>> {
  const { vocabulary, randomNonQueries, powerLaw, mixed, trainingRows, seed } = { ...defaults, ...options };
  const { pairs = usualPairs, length = mixed ? mixLength : usualLength } = options;
  if (mixed) requireMixed(options, vocabulary);
  else requirePairs(pairs, vocabulary);
  const makeRow = (key: RandomKey, size: Size) => mqarRow(key, { ...size, vocabulary, randomNonQueries, powerLaw });
  const source = generatedRows((key, rowLength) => makeRow(key, { length: rowLength, pairs }), { seed, trainingRows });
  return {
    name: "mqar",
    vocabularySize: vocabulary,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => {
      if (token === 0) return ".";
      const values = Math.floor(vocabulary / 2);
      return token < values ? `k${token}` : `v${token - values}`;
    },
    fingerprint: `mqar vocabulary=${vocabulary} pairs=${mixed ? "mixed" : pairs} randomNonQueries=${randomNonQueries} powerLaw=${powerLaw} trainingRows=${trainingRows ?? "new"} seed=${seed}`,
    views: {
      next: mixed
        ? mqarMix(makeRow, { seed, trainingRows })
        : rowsView({ name: "mqar", length, limit: usualLimit, form: nextForm, source }),
    },
  };
}

type Size = { readonly length: number; readonly pairs: number };

/** @throws RangeError naming a size that the mix has of its own, or a vocabulary without so many keys */
function requireMixed({ pairs, length }: MqarOptions, vocabulary: number): void {
  if (pairs !== undefined) throw new RangeError(`mqar: a mix has pairs of its own; leave pairs out, got ${pairs}`);
  if (length !== undefined && length !== mixLength)
    throw new RangeError(`mqar: a mix has rows of up to ${mixLength} positions; leave length out, got ${length}`);
  const most = Math.max(...mqarProtocol.train.map((size) => size.pairs));
  if (vocabulary < 2 * most + 2)
    throw new RangeError(
      `mqar: a mix has rows of ${most} pairs, whose keys need a vocabulary of at least ${2 * most + 2}, got ${vocabulary}`,
    );
}

/** @throws RangeError when there are not so many keys */
function requirePairs(pairs: number, vocabulary: number): void {
  const most = Math.floor(vocabulary / 2) - 1;
  if (Number.isInteger(pairs) && pairs >= 1 && pairs <= most) return;
  throw new RangeError(
    `mqar: pairs must be an integer from 1 to ${most}, the keys of vocabulary ${vocabulary}, got ${pairs}`,
  );
}

type RowOptions = Size & Required<Pick<MqarOptions, "vocabulary" | "randomNonQueries" | "powerLaw">>;

function mqarRow(key: RandomKey, { length, vocabulary, pairs, randomNonQueries, powerLaw }: RowOptions): Row {
  requirePairs(pairs, vocabulary);
  if (length < 4 * pairs) {
    throw new RangeError(
      `mqar: ${pairs} pairs and their questions need a length of at least ${4 * pairs}, got ${length}`,
    );
  }
  const draw = draws(key);
  const firstValue = Math.floor(vocabulary / 2);
  const keys = distinct(draw, pairs, firstValue - 1).map((index) => 1 + index);
  const values = distinct(draw, pairs, vocabulary - firstValue).map((index) => firstValue + index);
  const room = Math.floor((length - 2 * pairs) / 2);
  const gaps = weightedDistinct(
    draw,
    pairs,
    Array.from({ length: room }, (_, g) => (g + 1) ** (powerLaw - 1)),
  );
  const inputs = keys.flatMap((symbol, pair) => [symbol, values[pair]!]);
  while (inputs.length < length) inputs.push(randomNonQueries ? draw(vocabulary) : 0);
  const [targets, weights] = [new Array<number>(length).fill(0), new Array<number>(length).fill(0)];
  gaps.forEach((gap, pair) => {
    const place = 2 * pairs + 2 * gap;
    inputs[place] = keys[pair]!;
    targets[place] = values[pair]!;
    weights[place] = 1;
  });
  return { inputs, targets, weights };
}

export const mqarEntry: TaskEntry<"mqar", MqarOptions> = /* @__PURE__ */ taskEntry({
  name: "mqar",
  title: "Multi-query associative recall",
  category: "generated",
  summary: "look up many values by keys that come again at growing distance (Zoology)",
  options: () =>
    z.strictObject({
      vocabulary: count(1_000_000, "the vocabulary is made in memory", 4)
        .default(defaults.vocabulary)
        .describe("how many different tokens there are, half of them keys and half values"),
      pairs: positionCount()
        .optional()
        .describe(`pairs of a row, each of which is asked for once. Default: ${usualPairs}`),
      length: positionCount().optional().describe(`tokens in a training row. Default: ${usualLength}`),
      mixed: z
        .boolean()
        .default(defaults.mixed)
        .describe("train on the published lengths and pairs together, 64 to 256 and 4 to 64"),
      randomNonQueries: z
        .boolean()
        .default(defaults.randomNonQueries)
        .describe("whether positions that ask nothing hold random tokens"),
      powerLaw: z
        .number()
        .positive()
        .max(1)
        .default(defaults.powerLaw)
        .describe("exponent a of the gaps, p(x) ∝ a·x^(a−1); 1 makes them uniform"),
      trainingRows: trainingRowsOption().optional().describe(`${trainingRowsText}. Default: each is a new one`),
      seed: seedOption(),
    }),
  make: (settings) => mqarTask(present(settings)),
});
