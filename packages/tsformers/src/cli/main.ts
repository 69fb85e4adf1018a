import { Command, CommanderError } from "commander";
import { ConfigError } from "../run/config.ts";
import { packageVersion } from "../run/version.ts";
import { Ended, exitCodes, UsageError } from "./exit.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** A subcommand: its name, and how its code is loaded when it is wanted. */
type Loader = (terminal: Terminal) => Promise<Command>;

/** In the order of the help. */
const commands: Readonly<Record<string, Loader>> = {
  list: async (terminal) => (await import("./list.ts")).listCommand(terminal),
  describe: async (terminal) => (await import("./describe.ts")).describeCommand(terminal),
  train: async (terminal) => (await import("./train.ts")).trainCommand(terminal),
  eval: async (terminal) => (await import("./eval.ts")).evalCommand(terminal),
  generate: async (terminal) => (await import("./generate.ts")).generateCommand(terminal),
  compare: async (terminal) => (await import("./compare.ts")).compareCommand(terminal),
  export: async (terminal) => (await import("./export.ts")).exportCommand(terminal),
  verify: async (terminal) => (await import("./verify-command.ts")).verifyCommand(terminal),
};

const examples = `
Examples:
  tsformers compare                                    a first comparison, on text made on the spot
  tsformers compare --task text --data book.txt --positions sinusoidal,alibi
  tsformers train runs/mine --task text --data book.txt --position rotary
  tsformers generate runs/mine --prompt "Once upon a time"

tsformers COMMAND --help tells all about a command.`;

/**
 * The command `tsformers`.
 *
 * @param args without the program's own name
 * @returns the exit code: 0 done, 1 failed, 2 called wrongly, 130 interrupted
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  try {
    const program = await build(terminal, args[0] ?? "");
    await program.parseAsync(args, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    return report(error, terminal);
  }
}

/** Loads the code of the command that is called; of all of them when none is, for the help. */
async function build(terminal: Terminal, called: string): Promise<Command> {
  const program = new Command("tsformers")
    .description("Train, compare, look at and export the Transformer family.")
    .version(packageVersion, "-v, --version")
    .addHelpText("after", examples);
  const wanted = Object.hasOwn(commands, called) ? [commands[called]!] : Object.values(commands);
  for (const load of wanted) program.addCommand(await load(terminal));
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showHelpAfterError(`(tsformers ${command === program ? "" : `${command.name()} `}--help shows what there is)`)
      .configureOutput({
        writeOut: (text) => terminal.out(text.replace(/\n$/, "")),
        writeErr: (text) => terminal.log(text.replace(/\n$/, "")),
        getOutHelpWidth: () => terminal.columns,
        getErrHelpWidth: () => terminal.columns,
      });
  }
  return program;
}

function report(error: unknown, terminal: Terminal): number {
  // Help and version end by an exception with code 0; what commander has to complain about is already on the terminal.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof Ended) return error.code;
  const message = error instanceof Error ? error.message : String(error);
  terminal.log(`error: ${message}`);
  if (process.env.TSFORMERS_DEBUG && error instanceof Error) terminal.log(error.stack ?? "");
  return error instanceof UsageError || error instanceof ConfigError ? exitCodes.usage : exitCodes.failed;
}
