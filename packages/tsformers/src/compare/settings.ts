import * as z from "zod";
import { ConfigError } from "../run/config-error.ts";
import { count, exactCount, positionCount, scoredCount } from "../schema/count.ts";
import { explain, type NameOf } from "../schema/explain.ts";

/** A value as on a command line; files may have it as JSON. */
const value = z.union([z.string(), z.union([z.number(), z.boolean()]).transform(String)]);

/**
 * What a comparison is, beside the settings that its runs share: the section `compare` of a file, and the flags of the same names. A result
 * carries it with it, so that the same table can be made again.
 */
const schema = z.strictObject({
  set: z
    .record(z.string(), value)
    .default({})
    .describe("settings by the names of their flags, each for the variants that have it"),
  vary: z
    .record(z.string(), z.array(value).min(1))
    .optional()
    .describe("settings that differ, by the names of their flags, with their values: every combination is compared"),
  variants: z
    .array(z.record(z.string(), z.unknown()))
    .min(1)
    .optional()
    .describe("a list of settings that differ, each on top of what all share"),
  seeds: count(1000, "each seed is a run of every variant").default(3).describe("runs of each variant on each task"),
  lengths: z
    .array(positionCount())
    .min(1)
    .optional()
    .describe("lengths at which quality, time and memory are measured"),
  multiples: z
    .array(positionCount())
    .min(1)
    .optional()
    .describe("the same as multiples of the training length. Default: 1,2,4,8 where rows may be longer, otherwise 1"),
  budget: z
    .strictObject({ kind: z.enum(["tokens", "seconds", "flops"]), amount: z.number().positive().max(1e30) })
    .optional()
    .describe("what each run may spend, instead of a number of steps"),
  testTokens: scoredCount()
    .optional()
    .describe("tokens, or rows with a class, of each final evaluation. Default: the task's own number"),
  selfPretrain: z
    .boolean()
    .default(false)
    .describe("train each variant also on the task's own inputs first, under the same budget"),
  search: z
    .strictObject({
      over: z
        .record(z.string(), z.array(value).min(1))
        .describe("settings that are searched, by the names of their flags: values, or a range such as 1e-4..1e-2"),
      method: z.enum(["grid", "random", "asha"]).default("grid").describe("how candidates are chosen and stopped"),
      trials: count(10_000, "each is a run of every variant").default(8).describe("how many candidates are drawn"),
      seed: exactCount(0).default(0).describe("draws the candidates"),
    })
    .optional()
    .describe("settings that are chosen for each variant on the validation split, before the runs that count"),
  measureOnly: z.boolean().default(false).describe("measure time and memory only, and train nothing"),
});

/** {@link CompareSettings} as a schema, for editors. */
export const compareSchema: z.ZodObject = schema;

/** What a comparison is, beside the settings that its runs share, with every default filled in. */
export type CompareSettings = {
  /** By the names of their flags, each for the variants that have it. */
  readonly set: Readonly<Record<string, string>>;
  readonly vary?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly variants?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly seeds: number;
  readonly lengths?: readonly number[] | undefined;
  readonly multiples?: readonly number[] | undefined;
  readonly budget?: { readonly kind: "tokens" | "seconds" | "flops"; readonly amount: number } | undefined;
  readonly testTokens?: number | undefined;
  readonly selfPretrain: boolean;
  readonly search?: SearchSettings | undefined;
  readonly measureOnly: boolean;
};

/** What a search tries, and how. */
export type SearchSettings = {
  readonly over: Readonly<Record<string, readonly string[]>>;
  readonly method: "grid" | "random" | "asha";
  readonly trials: number;
  readonly seed: number;
};

/**
 * Checks the settings of a comparison and fills in the defaults.
 *
 * @param source where they come from, for errors
 * @param nameOf what settings are called there. Default: their dotted path in quotes
 * @throws ConfigError naming every setting that is wrong
 */
export function parseCompareSettings(given: unknown, source: string, nameOf?: NameOf): CompareSettings {
  // The type says what the schema makes; the compiler compares the two here.
  const checked: z.ZodType<CompareSettings> = schema;
  const result = checked.safeParse(given, { reportInput: true });
  if (!result.success) throw new ConfigError(`${source}: ${explain(result.error, schema, nameOf).join("\n  ")}`);
  const { variants, vary, lengths, multiples } = result.data;
  if (lengths !== undefined && multiples !== undefined)
    throw new ConfigError(`${source}: lengths and multiples both say where is measured; give one of them`);
  if (result.data.search !== undefined && result.data.budget?.kind === "seconds")
    throw new ConfigError(
      `${source}: candidates of a search are compared at steps, which a budget of seconds does not fix; give tokens, flops or steps`,
    );
  if (variants === undefined && vary === undefined) return { ...result.data, vary: {} };
  return result.data;
}
