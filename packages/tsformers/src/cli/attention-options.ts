import { Option } from "commander";
import type * as z from "zod";
import { mixers } from "../catalogue/mixers.ts";
import { patterns } from "../catalogue/patterns.ts";
import type { Entry } from "../run/catalogue.ts";
import { kebab } from "../run/flags.ts";
import { explain, type SchemaNode, schemaTree } from "../schema/explain.ts";
import { UsageError } from "./exit.ts";
import { settingValue } from "./setting-value.ts";

/** What may be set of a pattern or a mechanism, by option name. */
export function optionNodes(entry: Entry): Readonly<Record<string, SchemaNode>> {
  return schemaTree(entry.options()).properties ?? {};
}

/** The patterns and mechanisms that have an option, by the name of its flag. */
const owners: ReadonlyMap<string, readonly string[]> = (() => {
  const found = new Map<string, string[]>();
  for (const [name, entry] of Object.entries<Entry>({ ...mixers, ...patterns })) {
    for (const option of Object.keys(entry.options().shape)) {
      found.set(kebab(option), [...(found.get(kebab(option)) ?? []), name]);
    }
  }
  return found;
})();

/**
 * A flag for each option of any pattern or mechanism. Its value is read when it is known whose it is: two of them may mean different things
 * by one name.
 *
 * @param taken names of flags that the command has already
 */
export function attentionFlags(taken: readonly string[]): Option[] {
  return [...owners]
    .filter(([flag]) => !taken.includes(flag))
    .map(([flag, names]) =>
      new Option(`--${flag} [value]`, `of ${[...new Set(names)].join(", ")}`).helpGroup("Patterns and mechanisms:"),
    );
}

/** The flags of {@link attentionFlags} among what commander has read. */
export function givenAttentionFlags(options: Readonly<Record<string, unknown>>): Map<string, unknown> {
  return new Map(
    Object.entries(options)
      .map(([key, value]) => [kebab(key), value] as const)
      .filter(([flag]) => owners.has(flag)),
  );
}

/** The options of an entry among the flags that were given, read as that entry means them. */
export function readOptions(entry: Entry, given: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [option, node] of Object.entries(optionNodes(entry))) {
    const value = given.get(kebab(option));
    if (value !== undefined) options[option] = typeof value === "string" ? settingValue(value, node) : value;
  }
  return options;
}

/**
 * Flags that none of what is described has.
 * @returns one sentence for each
 */
export function misplacedOptions(
  described: readonly { readonly name: string; readonly entry: Entry }[],
  given: Iterable<string>,
): string[] {
  const known = new Set(described.flatMap(({ entry }) => Object.keys(entry.options().shape).map(kebab)));
  const names = [...new Set(described.map(({ name }) => name))].join(" and ");
  return [...given]
    .filter((flag) => !known.has(flag))
    .map((flag) => {
      const whose = owners.get(flag);
      return `--${flag} does not go with ${names}${whose === undefined ? "" : `; it is an option of ${[...new Set(whose)].join(", ")}`}`;
    });
}

/**
 * Checks options, makes what they describe, and says in words what is wrong with them.
 *
 * @throws UsageError for what the schema or the thing itself refuses
 */
export async function made<T>(name: string, entry: Entry, options: unknown, make: () => T | Promise<T>): Promise<T> {
  const checked = entry.options().safeParse(options, { reportInput: true });
  if (!checked.success) throw new UsageError(`${name}: ${sentences(checked.error, entry)}`);
  try {
    return await make();
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function sentences(error: z.ZodError, entry: Entry): string {
  return explain(error, entry.options()).join("\n  ");
}
