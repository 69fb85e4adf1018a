import { integers, type RandomKey, splitKey } from "@tsformers/engine";
import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm, pairsForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, symbolCount } from "../task-entry.ts";

/** Options of tasks that answer a random sequence of symbols with another sequence. */
export type SymbolOptions = {
  /** Number of different symbols. Default: 10. */
  readonly symbols?: number;
  /** T of a training row. Default: 64: a prompt of 32 symbols, the separator, and the answer without its last symbol. */
  readonly length?: number;
  /**
   * Training prompts have a random number of symbols from this up to what fits, uniformly distributed. Default: always as
   * many as fit, as in evaluation.
   */
  readonly shortest?: number;
  /** Default: 0. */
  readonly seed?: number;
};

export type SymbolTask = Task<Required<Pick<TaskViews, "next" | "pairs">>>;

const defaults = { symbols: 10, length: 64 };

/** Between prompt and answer, before the first token of the target, and as padding. Symbols are 1 … `symbols`. */
const separator = 0;

/**
 * A task that answers a prompt of n random symbols with n symbols; only the answer is scored.
 *
 * As rows: `prompt separator answer`, n = ⌊T / 2⌋ (for odd T the last position is empty).
 * As pairs: source = prompt, target = answer, n = T.
 */
export function symbolTask(
  name: string,
  answerTo: (prompt: readonly number[]) => readonly number[],
  options: SymbolOptions = {},
): SymbolTask {
  const { symbols, length, shortest, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(symbols) && symbols >= 2)) {
    throw new RangeError(`${name}: symbols must be an integer ≥ 2, got ${symbols}`);
  }
  if (shortest !== undefined && !(Number.isInteger(shortest) && shortest >= 1)) {
    throw new RangeError(`${name}: shortest must be an integer ≥ 1, got ${shortest}`);
  }

  const promptOf = (key: RandomKey, fits: number, purpose: "train" | "eval"): number[] => {
    const least = (purpose === "train" ? shortest : undefined) ?? fits;
    if (fits < Math.max(least, 1)) {
      throw new RangeError(
        `${name}: the length leaves room for ${fits} symbols, at least ${Math.max(least, 1)} are needed`,
      );
    }
    const [keyOfCount, keyOfSymbols] = splitKey(key, 2);
    const count = integers(keyOfCount!, [], { low: least, high: fits + 1 }).item();
    return integers(keyOfSymbols!, [count], { low: 1, high: symbols + 1 }).toNumbers();
  };

  return {
    name,
    vocabularySize: symbols + 1,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    symbolOf: (token) => (token === separator ? "|" : String(token)),
    fingerprint: `${name} symbols=${symbols} shortest=${shortest ?? "all"} seed=${seed}`,
    views: {
      next: rowsView({
        name,
        length,
        limit: usualLimit,
        form: nextForm,
        source: generatedRows(
          (key, rowLength, purpose) => {
            const prompt = promptOf(key, Math.floor(rowLength / 2), purpose);
            return causalRow([...prompt, separator, ...answerTo(prompt)], (index) => index > prompt.length);
          },
          { seed },
        ),
      }),
      pairs: rowsView({
        name,
        length: Math.max(Math.floor(length / 2), 1),
        limit: usualLimit,
        form: pairsForm,
        source: generatedRows(
          (key, rowLength, purpose) => {
            const source = promptOf(key, rowLength, purpose);
            return { source, ...causalRow([separator, ...answerTo(source)], () => true) };
          },
          { seed },
        ),
      }),
    },
  };
}

export type SymbolSettings = SymbolOptions;

/** The settings of tasks that {@link symbolTask} makes. */
export function symbolOptions(): z.ZodObject<
  {
    readonly symbols: z.ZodDefault<z.ZodInt>;
    readonly length: z.ZodDefault<z.ZodInt>;
    readonly shortest: z.ZodOptional<z.ZodInt>;
    readonly seed: z.ZodDefault<z.ZodInt>;
  },
  z.core.$strict
> {
  return z.strictObject({
    symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
    length: lengthOption(defaults.length),
    shortest: positionCount()
      .optional()
      .describe("training prompts have from this many symbols to as many as fit. Default: always as many as fit"),
    seed: seedOption(),
  });
}
