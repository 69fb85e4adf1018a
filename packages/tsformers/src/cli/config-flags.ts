import { type Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { jsonObject, readJsonFile } from "../io/read-json.ts";
import { parseRunConfig, type RunConfig, runSchema } from "../run/config.ts";
import { type Flag, flagsOf, kebab, misplacedFlags, withFlags } from "../run/flags.ts";
import { exactCount } from "../schema/count.ts";
import { expectation } from "../schema/nearest.ts";
import { UsageError } from "./exit.ts";

/** The flags of a run, made from its schema. */
export const runFlags: readonly Flag[] = flagsOf(runSchema);

/** Adds flags to a command, each under its heading in the help. */
export function addFlags(command: Command, flags: readonly Flag[]): Command {
  for (const flag of flags) command.addOption(optionOf(flag));
  return command;
}

function optionOf(flag: Flag): Option {
  const { name, type, choices, description, kinds } = flag;
  const value = { number: " <n>", boolean: "", text: choices === undefined ? " <text>" : " <name>", list: " <a,b,…>" }[
    type
  ];
  const about = [
    description,
    ...(choices === undefined ? [] : [choices.join(", ")]),
    ...(kinds === undefined || !isSelective(flag) ? [] : [`with ${kinds.join(", ")}`]),
  ].join("; ");
  const standard = flag.default === undefined ? "" : ` (default: ${[flag.default].flat().join(",")})`;
  return new Option(`--${name}${value}`, `${about}${standard}`).helpGroup(`${flag.heading}:`).argParser(parserOf(flag));
}

/** Whether some kinds of the flag's choice lack it. */
function isSelective({ path, kinds }: Flag): boolean {
  const all = runFlags.find((other) => other.path[0] === path[0] && other.path[1] === "kind")?.choices;
  return all !== undefined && kinds !== undefined && kinds.length < all.length;
}

function parserOf({ type, choices }: Flag): (text: string) => unknown {
  const known = (item: string) => {
    if (choices === undefined || choices.includes(item)) return item;
    throw new InvalidArgumentError(`Unknown ${JSON.stringify(item)}${expectation(item, choices)}.`);
  };
  if (type === "number") return parseNumber;
  if (type === "list") return (text) => text.split(",").map((item) => known(item.trim()));
  return type === "boolean" ? () => true : known;
}

/** A number as people write it on a command line: `1000`, `3e-4`, `1_000`. */
export function parseNumber(text: string): number {
  const number = Number(text.replace(/_/g, ""));
  if (text.trim() === "" || !Number.isFinite(number)) throw new InvalidArgumentError("Expected a number.");
  return number;
}

/** A whole number of at least `least`, or what a schema with bounds of its own lets through. */
export function parseCount(least = 1, schema: z.ZodInt = exactCount(least)): (text: string) => number {
  return (text) => {
    const { data, error } = schema.safeParse(parseNumber(text));
    if (data === undefined) throw new InvalidArgumentError(`${error!.issues[0]!.message}.`);
    return data;
  };
}

/** Items separated by commas. */
export function parseList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** Whole numbers separated by commas. */
export function parseCounts(text: string, least: number | readonly number[] | undefined = 1): number[] {
  // Commander hands in the value before as the second argument.
  return parseList(text).map(parseCount(typeof least === "number" ? least : 1));
}

/** The flags that were given, by flag name. */
export function givenFlags(
  options: Readonly<Record<string, unknown>>,
  flags: readonly Flag[] = runFlags,
): Map<string, unknown> {
  const byKey = new Map(Object.entries(options).map(([key, value]) => [kebab(key), value]));
  return new Map(flags.filter(({ name }) => byKey.has(name)).map(({ name }) => [name, byKey.get(name)]));
}

/**
 * The configuration that a file and flags make together; flags win.
 *
 * @param standard what holds where neither says anything
 * @param flags those that the command has. Default: all of a run
 * @throws UsageError when the file cannot be read, or a setting is wrong or unknown
 */
export function configFrom(
  options: { readonly config?: string; readonly [flag: string]: unknown },
  standard: unknown = {},
  flags: readonly Flag[] = runFlags,
): RunConfig {
  const given = givenFlags(options, flags);
  const base =
    options.config === undefined ? standard : { ...(standard as object), ...readJsonFile(options.config, jsonObject) };
  const raw = withFlags(base, flags, given);
  const misplaced = misplacedFlags(raw, flags, given.keys());
  if (misplaced.length > 0) throw new UsageError(misplaced.join("\n"));
  const source =
    options.config === undefined ? "flags" : given.size === 0 ? options.config : `${options.config} and flags`;
  const flagOf = (path: string) => flags.find((flag) => given.has(flag.name) && flag.path.join(".") === path);
  return parseRunConfig(raw, source, (path) => {
    const flag = flagOf(path.join(".")) ?? flagOf([...path, "kind"].join("."));
    return flag === undefined ? JSON.stringify(path.join(".")) : `--${flag.name}`;
  });
}

/** The JSON Schema of a configuration file, for editors. */
export function runJsonSchema(): unknown {
  return z.toJSONSchema(runSchema, { io: "input", unrepresentable: "any" });
}
