import type { Command, Option } from "commander";
import { kebab } from "../schema/kebab.ts";
import { nearest } from "../schema/nearest.ts";
import { UsageError } from "./exit.ts";

/**
 * Arguments as a command's options are written: `--modelWidth 64` as `--model-width 64`, and a switch with what it is set to,
 * `--json` as it is, `--mixer.gated` as `--mixer.gated=true`.
 *
 * @throws UsageError for a flag that the command does not have, with the nearest that it has
 */
export function plainArguments(args: readonly string[], command: Command): string[] {
  const options = new Map(
    command.options.flatMap((option) => [option.long, option.short].map((name): [string, Option] => [name!, option])),
  );
  const plain: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return [...plain, ...args.slice(i)];
    if (!arg.startsWith("--") || arg === "--help") {
      plain.push(arg);
      continue;
    }
    const [typed, value] = splitValue(arg);
    const name = `--${kebab(typed.slice(2))}`;
    const option = options.get(name);
    if (option === undefined) throw unknownFlag(typed, command);
    if (value !== undefined) plain.push(`${name}=${value}`);
    else if (option.optional) {
      const isSaid = args[i + 1] === "true" || args[i + 1] === "false";
      plain.push(`${name}=${isSaid ? args[++i] : "true"}`);
    } else {
      plain.push(name);
      if (option.required && i + 1 < args.length) plain.push(args[++i]!);
    }
  }
  return plain;
}

function splitValue(arg: string): [name: string, value?: string] {
  const at = arg.indexOf("=");
  return at < 0 ? [arg] : [arg.slice(0, at), arg.slice(at + 1)];
}

function unknownFlag(typed: string, command: Command): UsageError {
  const names = command.options.flatMap(({ long, short }) => [long, short].flatMap((name) => name ?? []));
  // A setting without the place that it stands in may be one of several.
  const placed = names.filter((name) => name.endsWith(`.${kebab(typed.slice(2))}`));
  const near = nearest(typed, names);
  const meant = placed.length > 0 ? placed : near === undefined ? [] : [near];
  const hint = meant.length === 0 ? "" : `; did you mean ${meant.join(" or ")}?`;
  return new UsageError(`unknown flag ${typed}${hint}\n(tsformers ${command.name()} --help shows what there is)`);
}
