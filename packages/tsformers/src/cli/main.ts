import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { FileError } from "../io/file-error.ts";
import { notFolder } from "../io/make-folder.ts";
import { ConfigError } from "../run/config-error.ts";
import { packageVersion } from "../run/version.ts";
import { CombinationError } from "../schema/combination-error.ts";
import { expectation } from "../schema/nearest.ts";
import { plainArguments } from "./arguments.ts";
import { commands } from "./commands.ts";
import { exitCodes, Failure, type FailureKind, UsageError } from "./exit.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

const examples = `
Examples:
  tsformers compare                                    a first comparison, on text made on the spot
  tsformers compare --task text --data book.txt --positions sinusoidal,alibi
  tsformers train runs/mine --task text --data book.txt --position rotary
  tsformers generate runs/mine --prompt "Once upon a time"

tsformers COMMAND --help tells all about a command.`;

/** The end of every command's help. */
const endings = `
Exit codes: ${exitCodes.done} done, ${exitCodes.failed} failed, ${exitCodes.usage} called wrongly, ${exitCodes.interrupted} interrupted;
of verify also ${exitCodes["beyond-tolerance"]} beyond tolerance, ${exitCodes.unsupported} cannot be verified.
With --json, standard output is one JSON object; after a failure it holds
"error": { "kind", "message", "exitCode" }.`;

/** Whether a command works for a folder, and so goes on when nobody reads what it prints any more. */
export function outlivesItsReader([command]: readonly string[]): boolean {
  return command === "train" || command === "compare";
}

/**
 * The command `tsformers`.
 *
 * @param args without the program's own name
 * @returns the exit code, one of {@link exitCodes}
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const end = args.indexOf("--");
  const json = args.slice(0, end < 0 ? args.length : end).includes("--json");
  try {
    if (args[0] === "help" && args[1] !== undefined) requireCommand(args[1]);
    const program = await build(terminal, args, json);
    const command = program.commands.find((one) => one.name() === args[0]);
    const plain = command === undefined ? args : [args[0]!, ...plainArguments(args.slice(1), command)];
    await program.parseAsync(plain, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    return await report(error, terminal, json);
  }
}

/** The command that is called, or whose help is asked for; "" when there is none. */
function calledCommand(args: readonly string[]): string {
  const [first, second] = args.filter((arg) => !arg.startsWith("-"));
  return (first === "help" ? second : first) ?? "";
}

function requireCommand(name: string): void {
  if (!Object.hasOwn(commands, name))
    throw new UsageError(`unknown command ${JSON.stringify(name)}${expectation(name, Object.keys(commands))}`);
}

/** Loads the code of the command that is called, and of no other: the program's own help is made from the table. */
async function build(terminal: Terminal, args: readonly string[], json: boolean): Promise<Command> {
  const called = calledCommand(args);
  const program = new Command("tsformers")
    .description("Train, compare, look at and export the Transformer family.")
    .version(packageVersion, "-v, --version")
    .addHelpText("after", examples)
    .hook("preAction", (_, command) => requirePaths(command));
  if (Object.hasOwn(commands, called)) {
    const { about, load } = commands[called]!;
    program.addCommand((await load(terminal, args.slice(1))).description(about));
  } else {
    for (const [name, { takes, about }] of Object.entries(commands)) {
      const command = program.command(`${name} ${takes}`).description(about);
      // Each has some; the term in the help says so.
      command.addOption(new Option("--json").hideHelp());
    }
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .addHelpText("after", endings)
      .configureOutput({
        writeOut: (text) => terminal.out(text.replace(/\n$/, "")),
        // With --json, what commander has to complain about is reported below.
        writeErr: (text) => json || terminal.log(text.replace(/\n$/, "")),
        getOutHelpWidth: () => terminal.columns,
        getErrHelpWidth: () => terminal.columns,
      })
      .showHelpAfterError(`(tsformers ${command === program ? "" : `${command.name()} `}--help shows what there is)`);
  }
  return program;
}

/**
 * No path may be empty. What a command declares as `<dir>` must be a folder; `[dir]`, and options with `<dir>`, may be one that is to be made.
 *
 * @throws UsageError
 */
function requirePaths(command: Command): void {
  command.registeredArguments.forEach((argument, i) => {
    if (argument.name() === "dir") requireFolder("the folder", command.processedArgs[i], argument.required);
  });
  for (const option of command.options) {
    const [, kind] = /<(dir|folder|file|path)>$/.exec(option.flags) ?? [];
    const path: unknown = command.getOptionValue(option.attributeName());
    if (kind === "dir") requireFolder(option.long!, path as string | undefined, false);
    else if (kind !== undefined && path === "") throw emptyPath(option.long!);
  }
}

function emptyPath(what: string): UsageError {
  return new UsageError(`${what}: expected a path, got none`);
}

function requireFolder(what: string, path: string | undefined, mustExist: boolean): void {
  if (path === undefined) return;
  if (path === "") throw emptyPath(what);
  const found = stats(path);
  if (found === undefined && mustExist) throw new UsageError(`${path}: no such folder`);
  if (found?.isDirectory() === false) throw new UsageError(`${path}: ${notFolder}`);
}

/** @throws UsageError naming the file where a path goes through one */
function stats(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTDIR") throw new UsageError(`${path}: cannot be read (${code ?? String(error)})`);
    const above = dirname(path);
    if (stats(above) === undefined) return undefined;
    throw new UsageError(`${above}: ${notFolder}`);
  }
}

/** Says what went wrong, once: in words, or with `--json` as the one object on standard output. */
async function report(error: unknown, terminal: Terminal, json: boolean): Promise<number> {
  // Help and version end by an exception with code 0.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
  const kind = kindOf(error);
  const exitCode = exitCodes[kind];
  // Loaded only now: most calls end well, and it knows of the engine.
  const { errorText } = await import("../run/error-text.ts");
  const message = error instanceof CommanderError ? commanderText(error) : errorText(error);
  if (json) {
    const result = error instanceof Failure ? error.result : {};
    terminal.out(JSON.stringify({ ...result, error: { kind, message, exitCode } }, null, 2));
  } else if (!(error instanceof CommanderError)) {
    const isExpected = kind === "interrupted" || kind === "beyond-tolerance";
    terminal.log(isExpected ? message : `error: ${message}`);
  }
  if (process.env.TSFORMERS_DEBUG && error instanceof Error) terminal.log(error.stack ?? "");
  return exitCode;
}

function commanderText({ message }: CommanderError): string {
  return message.replace(/^error: /, "").replaceAll("\n", " ");
}

/** What is wrong with a call, wherever it is found: words, a setting, a number out of its range, things that do not go together, a file. */
const wrongCalls = [CommanderError, ConfigError, RangeError, CombinationError, FileError] as const;

/** A full disk is no wrong call. */
export function kindOf(error: unknown): FailureKind {
  if (error instanceof Failure) return error.kind;
  if (error instanceof FileError && error.isOfDisk) return "failed";
  return wrongCalls.some((kind) => error instanceof kind) ? "usage" : "failed";
}
