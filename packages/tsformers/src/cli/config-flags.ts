import { type Command, InvalidArgumentError, Option } from "commander";
import type * as z from "zod";
import { jsonObject, readJsonFile } from "../io/read-json.ts";
import { parseRunConfig, type RunConfig, runSchema, spelledOut } from "../run/config.ts";
import { type Flag, flagName, flagNamed, flagsOf, type GivenFlags, misplacedFlags, withFlags } from "../run/flags.ts";
import { mergedSettings } from "../run/merge-settings.ts";
import { partRefusal } from "../run/parts.ts";
import { exactCount } from "../schema/count.ts";
import { quotedPath } from "../schema/explain.ts";
import { UsageError } from "./exit.ts";
import { flagText, headingOf, isShown, valueWord } from "./flag-help.ts";

/** The flags of a run, made from its schema. */
export const runFlags: readonly Flag[] = flagsOf(runSchema);

/** Adds flags to a command, each under its heading in the help. Their values stay text until it is known whose setting they are. */
export function addFlags(command: Command, flags: readonly Flag[], shown: (flag: Flag) => boolean = isShown): Command {
  for (const flag of flags) {
    const names = flag.short === undefined ? `--${flag.name}` : `--${flag.short}, --${flag.name}`;
    const option = new Option(`${names} ${valueWord(flag)}`, flagText(flag, runFlags));
    command.addOption(option.helpGroup(headingOf(flag)).hideHelp(!shown(flag)));
  }
  return command.configureHelp({
    // Settings of task and model are shown by their short names.
    optionTerm: ({ flags }) => flags.replace(/^(--[\w-]+), --[\w.-]+/, "$1"),
  });
}

/** A number as people write it on a command line: `1000`, `3e-4`, `1_000`. */
export function parseNumber(text: string): number {
  const number = Number(text.replace(/_/g, ""));
  if (text.trim() === "" || !Number.isFinite(number)) throw new InvalidArgumentError("Expected a number.");
  return number;
}

/** A share from 0 up to, but without, 1. */
export function parseShare(text: string): number {
  const share = parseNumber(text);
  if (!(share >= 0 && share < 1)) throw new InvalidArgumentError("Expected a share from 0 up to, but without, 1.");
  return share;
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

/** The flags that were given, with what was given for them. */
export function givenFlags(
  options: Readonly<Record<string, unknown>>,
  flags: readonly Flag[] = runFlags,
): Map<Flag, string> {
  return new Map(
    flags.flatMap((flag) => {
      const given = options[attributeOf(flag)];
      return given === undefined ? [] : [[flag, String(given)] as const];
    }),
  );
}

/** Whether a flag of this name is among those that were given. */
export function isGiven(given: GivenFlags, name: string): boolean {
  const flag = flagNamed(runFlags, name);
  return flag !== undefined && given.has(flag);
}

/** The flags that say what the tokens of a text are. */
export const tokenFlags: readonly string[] = ["tokens", "vocabulary", "tokenizer"];

/** Where commander keeps the value of a flag. */
function attributeOf({ name }: Flag): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings of a file, on top of those that hold where it says nothing. */
export function settingsOfFile(file: string | undefined, standard: unknown = {}): unknown {
  return file === undefined ? standard : mergedSettings(standard, spelledOut(readJsonFile(file, jsonObject)));
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
  const raw = withFlags(settingsOfFile(options.config, standard), flags, given, { sharing: true });
  const misplaced = misplacedFlags(raw, flags, given.keys(), partRefusal);
  if (misplaced.size > 0) throw new UsageError([...misplaced.values()].join("\n"));
  const source =
    options.config === undefined ? "flags" : given.size === 0 ? options.config : `${options.config} and flags`;
  return parseRunConfig(raw, source, (path) => nameOfSetting(path, given));
}

/** What a setting is called where it was given: by its flag, or, in a file, by its place. */
export function nameOfSetting(path: readonly string[], given: GivenFlags): string {
  const place = path.filter((name) => !/^\d+$/.test(name)).join();
  const flag = [...given.keys()].find(({ path }) => path.join() === place || path.join() === `${place},kind`);
  return flag === undefined ? quotedPath(path) : flagName(flag);
}
