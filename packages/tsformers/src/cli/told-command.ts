import { Command } from "commander";
import { type Kept, keptUnder, readKept } from "./kept.ts";
import type { Terminal } from "./terminal.ts";
import { printTold } from "./told.ts";

/** The flags that change nothing of what is told. */
const harmless = ["--json", "--ascii"];

/**
 * `tsformers describe NAME` of what the build has kept; undefined where more is asked for or the name is another one, which the
 * whole command can tell.
 *
 * @param args without the name of the command
 */
export function toldCommand(
  terminal: Terminal,
  args: readonly string[],
  read: () => Kept | undefined = readKept,
): Command | undefined {
  const [name, ...more] = args.filter((arg) => !harmless.includes(arg));
  if (name === undefined || more.length > 0 || name.startsWith("-")) return undefined;
  const kept = read();
  const told = kept === undefined ? [] : keptUnder(name, kept);
  if (told.length === 0) return undefined;
  return new Command("describe")
    .argument("<name>")
    .option("--ascii")
    .option("--json")
    .action((_, options: { readonly json?: true; readonly ascii?: true }) => printTold(told, options, terminal));
}
