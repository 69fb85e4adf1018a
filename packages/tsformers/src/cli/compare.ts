import { relative } from "node:path";
import { Command } from "commander";
import type { CompareOptions } from "../compare/prepare-comparison.ts";
import type { Comparison } from "../compare/results.ts";
import { type CompareEvent, type ComparisonOutcome, runComparison } from "../compare/run-comparison.ts";
import { standardFor } from "../compare/standard.ts";
import { comparisonTables, renderTable } from "../compare/table.ts";
import { type Axis, gridVariants, listedVariants, type Shared } from "../compare/variants.ts";
import { jsonObject, jsonObjects, readJsonFile } from "../io/read-json.ts";
import { spelledOut } from "../run/config.ts";
import { type Flag, flagName, flagNamed } from "../run/flags.ts";
import { mergedSettings } from "../run/merge-settings.ts";
import { count } from "../schema/count.ts";
import { suggestion } from "../schema/nearest.ts";
import { present } from "../schema/present.ts";
import { splitList } from "../schema/setting-value.ts";
import { openProgress, type Progress } from "../train/progress.ts";
import { addFlags, givenFlags, nameOfSetting, parseCount, parseCounts, runFlags } from "./config-flags.ts";
import { Failure, interruption, UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

const flags: readonly Flag[] = runFlags.filter(({ name }) => name !== "from");

const usualPositions = "position=sinusoidal,rotary,t5,alibi";

type CompareFlags = {
  readonly vary?: readonly string[];
  readonly models?: string;
  readonly positions?: string;
  readonly variants?: string;
  readonly seeds: number;
  readonly multiples: readonly number[];
  readonly budgetTokens?: number;
  readonly testTokens?: number;
  readonly out?: string;
  readonly config?: string;
  readonly json?: true;
  readonly [flag: string]: unknown;
};

/** `tsformers compare`: several variants, one task, one budget, one table. */
export function compareCommand(terminal: Terminal): Command {
  const command = new Command("compare")
    .description("train several variants alike and compare quality, speed and memory, also beyond the training length")
    .option(
      "--vary <setting=a,b,…>",
      `what differs: a setting of train and its values; several times for each combination. Default: ${usualPositions}`,
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option("--models <a,b,…>", "short for --vary model=a,b,…")
    .option("--positions <a,b,…>", "short for --vary position=a,b,…")
    .option(
      "--variants <file>",
      "instead of --vary, a JSON list of settings that differ, each as in a file of --config",
    )
    .option(
      "--seeds <n>",
      "runs of each variant, with seeds from --seed on",
      parseCount(1, count(1000, "each seed is a run of every variant")),
      1,
    )
    .option(
      "--multiples <n,n,…>",
      "measure loss, speed and memory at these multiples of the training length",
      parseCounts,
      [1, 2, 4, 8],
    )
    .option("--budget-tokens <n>", "train on this many tokens, instead of --steps", parseCount())
    .option("--test-tokens <n>", "tokens of each final evaluation. Default: the task's own number", parseCount())
    .option("--out <dir>", "directory of runs and report. Default: one named for what the variants share")
    .option("--config <file>", "read settings from a JSON file; flags win over it")
    .option("--json", "print the results as JSON")
    .addHelpText(
      "after",
      `
Defaults shown are those of single runs; sizes, steps and length suit the task, and are smaller for text made on the spot.
Called again, finished runs are taken as they are and interrupted ones go on. Values with commas stand in brackets:
--vary 'mixer=softmax,[local*2,routing*2]'.

Examples:
  tsformers compare
  tsformers compare --task text --data book.txt --positions sinusoidal,rotary,t5,alibi
  tsformers compare --task text --data book.txt --length 1024 --vary mixer=softmax,linear,performer,lsh
  tsformers compare --vary mixer=performer,rfa --vary mixer.features=16,64
  tsformers compare --vary learning-rate=1e-3,3e-4 --position alibi --seeds 3
  tsformers compare --models gpt,llama,bloom --task text --data book.txt
  tsformers compare --task copy --variants variants.json --steps 500`,
    );
  return addFlags(command, flags).action(async (options: CompareFlags) => {
    const compared = compareOptions(options, terminal);
    const progress = openProgress();
    const { signal, listen, release } = interruption({
      later: true,
      onFirst: () => progress.log("stopping after this step; the next Ctrl-C stops now, without a checkpoint"),
    });
    try {
      const outcome = await runComparison(compared, {
        directory: options.out,
        command: commandLine(process.argv.slice(2)),
        signal,
        onEvent: (event) => {
          if (event.kind === "planned") listen();
          show(progress, terminal)(event);
        },
      });
      progress.done();
      finish(outcome, options, terminal);
    } finally {
      progress.done();
      release();
    }
  });
}

/** What flags and files ask for. @throws UsageError, RangeError or ConfigError for what is wrong with it */
function compareOptions(options: CompareFlags, terminal: Terminal): CompareOptions {
  const { seeds, multiples, testTokens, budgetTokens } = options;
  const given = givenFlags(options, flags);
  const axes = axesOf(options);
  for (const { flag } of axes) {
    if (given.has(flag)) throw new UsageError(`${flagName(flag)} is what is varied; leave it away`);
    if (flag.name === "seed") throw new UsageError("--vary seed: --seeds N makes N runs of each variant");
  }
  const isGiven = (name: string) => [...given.keys()].some((flag) => flag.name === name);
  if (budgetTokens !== undefined && isGiven("steps"))
    throw new UsageError("--budget-tokens and --steps both say how long to train; give one of them");
  const varied = new Map(axes.map(({ flag, values }) => [flag, values[0]!]));
  const shared: Shared = {
    settings: sharedSettings(options, given),
    given,
    flags,
    source: [options.variants ?? options.config ?? [], "flags"].flat().join(" and "),
    nameOf: (path) => nameOfSetting(path, new Map([...given, ...varied])),
  };
  const { variants, notes } =
    options.variants === undefined
      ? gridVariants(shared, axes)
      : listedVariants(shared, readJsonFile(options.variants, jsonObjects));
  for (const note of notes) terminal.log(note);
  return {
    variants,
    seeds,
    multiples,
    ...present({ testTokens, budgetTokens }),
  };
}

/** The settings of a file, on top of those that suit the task and its length. */
function sharedSettings({ config }: CompareFlags, given: ReadonlyMap<Flag, string>): unknown {
  const file = config === undefined ? {} : readJsonFile(config, jsonObject);
  const flagged = (name: string) => [...given].find(([flag]) => flag.name === name)?.[1];
  const task = typeof file.task === "object" && file.task !== null ? (file.task as Record<string, unknown>) : {};
  const standard = standardFor({
    kind: String(flagged("task") ?? task.kind ?? "text"),
    data: flagged("task.data") ?? task.data,
    length: lengthIn(flagged("length") ?? file.length),
  });
  return mergedSettings(standard, spelledOut(file));
}

/** A length of rows that is one; what is none is left to the schema. */
function lengthIn(value: unknown): number | undefined {
  const length = Number(value);
  return Number.isSafeInteger(length) && length > 0 ? length : undefined;
}

/** The settings that are varied, models and positions first. */
function axesOf({ vary = [], models, positions, variants }: CompareFlags): Axis[] {
  const said = [
    ...(models === undefined ? [] : [`model=${models}`]),
    ...(positions === undefined ? [] : [`position=${positions}`]),
    ...vary,
  ];
  if (variants !== undefined) {
    if (said.length > 0)
      throw new UsageError("--variants says all that differs; leave --vary, --models and --positions away");
    return [];
  }
  const axes = (said.length === 0 ? [usualPositions] : said).map(axisOf);
  const twice = axes.find(({ flag }, i) => axes.findIndex((other) => other.flag === flag) < i);
  if (twice !== undefined) throw new UsageError(`${flagName(twice.flag)} is varied twice; give all its values at once`);
  return axes;
}

function axisOf(text: string): Axis {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  const flag = flagNamed(flags, name);
  if (flag === undefined) {
    const names = flags.map(({ name, short }) => short ?? name);
    throw new UsageError(`--vary: unknown setting ${JSON.stringify(name)}${suggestion(name, names)}`);
  }
  const values = at < 0 ? [] : splitList(text.slice(at + 1));
  if (values.length === 0) throw new UsageError(`--vary ${name}: expected values, such as ${name}=a,b`);
  return { flag, values: [...new Set(values)] };
}

function show(progress: Progress, terminal: Terminal): (event: CompareEvent) => void {
  return (event) => {
    if (event.kind === "planned") return progress.log(`${event.runs.length} runs, one after the other`);
    if (event.kind === "message") {
      const { message } = event;
      if (message.kind === "note") return progress.log(message.message);
      return message.step === message.totalSteps ? progress.done(message) : progress.update(message);
    }
    const place = `[${event.index + 1}/${event.count}] ${event.run.variant}, seed ${event.run.seed}`;
    if (event.kind === "started") return progress.log(terminal.bold(place));
    const { outcome } = event;
    if (outcome === "interrupted") return progress.log(`${place}: interrupted`);
    if ("failure" in outcome) return progress.log(`${place}: failed: ${outcome.failure}`);
    const { result, reused } = outcome;
    const loss = Object.values(result.metrics)[0]!.toFixed(4);
    return progress.log(
      `${place}: ${reused ? "taken from an earlier call" : `done in ${result.seconds.toFixed(0)} s`}, test loss ${loss}`,
    );
  };
}

function finish(outcome: ComparisonOutcome, { json, seeds }: CompareFlags, terminal: Terminal): void {
  const { comparison, complete, resultsPath, reportPath } = outcome;
  const failed = comparison.runs.filter((run) => "failure" in run.outcome).length;
  // An interrupted comparison that has no result yet has no files either.
  const result = { ...comparison, complete, ...(comparison.runs.length > 0 && { resultsPath, reportPath }) };
  if (!json && comparison.runs.length > 0) {
    const { tables, crossovers, notes } = comparisonTables(comparison);
    terminal.out(`\n${tables.map((table) => renderTable(table, terminal.columns, terminal.bold)).join("\n\n")}`);
    if (crossovers.length > 0) terminal.out(`\n${crossovers.join("\n")}`);
    for (const note of notes) terminal.out(terminal.dim(note));
    terminal.out(
      `\nreport   ${relative(".", reportPath) || reportPath}\nresults  ${relative(".", resultsPath) || resultsPath}`,
    );
  }
  if (!complete) throw new Failure("interrupted", "interrupted; the same command goes on from here", result);
  if (failed > 0) {
    const message = `${failed} of ${comparison.runs.length} runs failed; the same command tries them again`;
    throw new Failure("failed", message, result);
  }
  if (json) terminal.out(JSON.stringify(result, null, 2));
  else terminal.log(terminal.dim(nextSteps(seeds, comparison)));
}

function nextSteps(seeds: number, { runs }: Comparison): string {
  const hasData = runs.every(({ config }) => typeof config.task.data === "string");
  return [
    "",
    "Try next:",
    ...(hasData ? [] : ["  your own text      tsformers compare --task text --data FILE_OR_FOLDER"]),
    seeds > 1
      ? "  more models        tsformers compare --models gpt,llama,bloom"
      : "  is it chance?      the same with --seeds 3",
    "  what is there      tsformers list",
    "In a checkout, write `npx tsformers` for `tsformers`.",
  ].join("\n");
}

/** Arguments as a shell takes them. */
function commandLine(args: readonly string[]): string {
  return [
    "tsformers",
    ...args.map((arg) => (/^[\w.,:/=@+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`)),
  ].join(" ");
}
