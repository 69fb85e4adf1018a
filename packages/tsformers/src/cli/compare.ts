import { join, relative } from "node:path";
import { Command } from "commander";
import { positions } from "../catalogue/positions.ts";
import { type CompareOptions, planRuns, takesAnyPosition } from "../compare/plan.ts";
import { type CompareEvent, type ComparisonOutcome, runComparison } from "../compare/run-comparison.ts";
import { standardFor } from "../compare/standard.ts";
import { comparisonTables, renderTable } from "../compare/table.ts";
import { jsonObject, readJsonFile } from "../io/read-json.ts";
import { models } from "../models/index.ts";
import { fingerprint } from "../run/canonical-json.ts";
import type { RunConfig } from "../run/config.ts";
import { count } from "../schema/count.ts";
import { expectation } from "../schema/nearest.ts";
import { createTask } from "../tasks/index.ts";
import { openProgress, type Progress } from "../train/progress.ts";
import { addFlags, configFrom, parseCount, parseCounts, parseList, runFlags } from "./config-flags.ts";
import { Failure, interruption, UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** The comparison names models and positions in the plural; schemes are compared as they come. */
const flags = runFlags.filter(({ name, path }) => name !== "model" && name !== "from" && path[0] !== "position");

const usualPositions = ["sinusoidal", "rotary", "t5", "alibi"];

type CompareFlags = {
  readonly models: readonly string[];
  readonly positions?: readonly string[];
  readonly seeds: number;
  readonly multiples: readonly number[];
  readonly budgetTokens?: number;
  readonly testTokens?: number;
  readonly out?: string;
  readonly config?: string;
  readonly json?: true;
  readonly task?: string;
  readonly data?: string;
  readonly steps?: number;
};

/** `tsformers compare`: several models or position schemes, one task, one budget, one table. */
export function compareCommand(terminal: Terminal): Command {
  const command = new Command("compare")
    .description("train several models or position schemes alike and compare them, also beyond the training length")
    .option("--models <a,b,…>", "which models", parseList, ["gpt"])
    .option(
      "--positions <a,b,…>",
      `which position schemes, for models that take any. Default: ${usualPositions.join(",")}`,
      parseList,
    )
    .option(
      "--seeds <n>",
      "runs of each variant, with seeds from --seed on",
      parseCount(1, count(1000, "each seed is a run of every variant")),
      1,
    )
    .option("--multiples <n,n,…>", "evaluate at these multiples of the training length", parseCounts, [1, 2, 4, 8])
    .option("--budget-tokens <n>", "train on this many tokens, instead of --steps", parseCount())
    .option("--test-tokens <n>", "tokens of each final evaluation; the task's own number unless given", parseCount())
    .option("--out <dir>", "directory of runs and report; made from the settings unless given")
    .option("--config <file>", "read settings from a JSON file; flags win over it")
    .option("--json", "print the results as JSON")
    .addHelpText(
      "after",
      `
Defaults shown are those of single runs; sizes, steps and length suit the task, and are smaller for text made on the spot.
Called again, finished runs are taken as they are and interrupted ones go on.

Examples:
  tsformers compare
  tsformers compare --task text --data book.txt --positions sinusoidal,rotary,t5,alibi
  tsformers compare --models gpt,llama,bloom --task text --data book.txt --seeds 3
  tsformers compare --task copy --positions learned,rotary --steps 500`,
    );
  return addFlags(command, flags).action(async (options: CompareFlags) => {
    checkNames("models", options.models, Object.keys(models));
    checkNames("positions", options.positions ?? [], Object.keys(positions));
    const { config, data } = await sharedConfig(options);
    const compared = {
      config,
      data,
      models: options.models,
      positions: options.positions ?? (options.models.some(takesAnyPosition) ? usualPositions : []),
      seeds: options.seeds,
      lengths: [...new Set(options.multiples)].sort((a, b) => a - b).map((multiple) => multiple * config.length),
      ...(options.testTokens !== undefined && { testTokens: options.testTokens }),
    };
    const directory =
      options.out ??
      join(
        "runs",
        `compare-${config.task.kind}-${fingerprint({ ...config, model: { ...config.model, kind: "" }, data })}`,
      );
    requireHeads(planRuns(compared, directory).map(({ job }) => job.config));
    sayOwnPositions(compared, terminal);
    const progress = openProgress();
    const { signal, listen, release } = interruption({
      later: true,
      onFirst: () => progress.log("stopping after this step; the next Ctrl-C stops now, without a checkpoint"),
    });
    try {
      const outcome = await runComparison(compared, {
        directory,
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

function sayOwnPositions({ models: names, positions }: CompareOptions, terminal: Terminal): void {
  const own = names.filter((name) => !takesAnyPosition(name));
  if (own.length === 0 || positions.length === 0) return;
  const takers = names.filter(takesAnyPosition).join(", ");
  terminal.log(`${own.join(", ")}: compared with their own positions; ${positions.join(", ")} are those of ${takers}`);
}

function checkNames(flag: string, names: readonly string[], known: readonly string[]): void {
  if (names.length === 0 && flag === "models")
    throw new UsageError(`--${flag}: expected at least one of ${known.join(", ")}`);
  for (const name of names) {
    if (!known.includes(name))
      throw new UsageError(`--${flag}: unknown ${JSON.stringify(name)}${expectation(name, known)}`);
  }
}

/** What all runs have in common, complete but for what a model says itself, and what the data are known by. */
async function sharedConfig(options: CompareFlags): Promise<{ config: RunConfig & { length: number }; data: string }> {
  const file =
    options.config === undefined
      ? {}
      : (readJsonFile(options.config, jsonObject) as { task?: { kind?: string; data?: unknown } });
  const task = { kind: options.task ?? file.task?.kind ?? "text", data: options.data ?? file.task?.data };
  const standard = standardFor(task);
  // Options of models are checked against the first one; the others take those that they have too.
  const config = configFrom(options, { ...standard, model: { ...standard.model, kind: options.models[0] } });
  const { kind, ...taskOptions } = config.task;
  const { length, fingerprint: data } = await createTask(kind, {
    ...taskOptions,
    ...(config.length !== undefined && { length: config.length }),
  });
  const full = { ...config, length };
  if (options.budgetTokens === undefined) return { config: full, data };
  if (options.steps !== undefined)
    throw new UsageError("--budget-tokens and --steps both say how long to train; give one of them");
  return {
    config: { ...full, steps: Math.max(1, Math.ceil(options.budgetTokens / (config.batchSize * length))) },
    data,
  };
}

function requireHeads(configs: readonly RunConfig[]): void {
  for (const { model } of configs) {
    const { modelWidth = 256, heads = 4 } = model as { modelWidth?: number; heads?: number };
    if (modelWidth % heads !== 0)
      throw new UsageError(`${model.kind}: --heads ${heads} does not divide --model-width ${modelWidth}`);
  }
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
  const result = { ...comparison, complete, resultsPath, reportPath };
  if (!json && comparison.runs.length > 0) {
    const { tables, notes } = comparisonTables(comparison);
    terminal.out(`\n${tables.map((table) => renderTable(table, terminal.columns, terminal.bold)).join("\n\n")}`);
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
  else terminal.log(terminal.dim(nextSteps(seeds)));
}

function nextSteps(seeds: number): string {
  return [
    "",
    "Try next:",
    "  your own text      tsformers compare --task text --data FILE_OR_FOLDER",
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
