import { relative } from "node:path";
import { Command, Option } from "commander";
import { type ComparisonOutcome, runComparison } from "../compare/execution/run-comparison.ts";
import { shellWord } from "../compare/inline-comparison.ts";
import type { Comparison } from "../compare/results.ts";
import { adviceOf } from "../compare/text/advice.ts";
import { comparisonTables, renderTable } from "../compare/text/table.ts";
import { wrapLines } from "../compare/text/wrap.ts";
import { comparisonFiles } from "../compare/write-comparison.ts";
import { present } from "../schema/present.ts";
import { askedComparison, type CompareFlags, comparedFlags } from "./compare-settings.ts";
import { addFlags, parseCount, parseCounts, parseNumber } from "./config-flags.ts";
import { Failure, interruption } from "./exit.ts";
import { openLiveTable } from "./live-table.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

type Flags = CompareFlags & { readonly out?: string; readonly jobs?: number; readonly json?: true };

/** `tsformers compare`: variants on tasks under one budget, in one ranked table. */
export function compareCommand(terminal: Terminal): Command {
  const command = addComparisonFlags(new Command("compare"));
  command.addHelpText("after", examples);
  return addFlags(command, comparedFlags).action(async (options: Flags) => {
    const { cells, notes, settings, file } = askedComparison(options);
    for (const note of notes) terminal.log(note);
    const table = openLiveTable({ bold: terminal.bold });
    const { signal, listen, release } = interruption({
      later: true,
      onFirst: () => table.log("stopping after this step; the next Ctrl-C stops now, without a checkpoint"),
    });
    try {
      const outcome = await runComparison(cells, settings, {
        folder: options.out,
        ...present({ jobs: options.jobs }),
        command: commandLine(process.argv.slice(2)),
        settings: file,
        signal,
        onEvent: (event) => {
          if (event.kind === "planned") listen();
          table.show(event);
        },
      });
      table.done();
      finish(outcome, options, terminal);
    } finally {
      release();
    }
  });
}

function addComparisonFlags(command: Command): Command {
  const grouped = (flags: string, text: string): Option => new Option(flags, text).helpGroup("Comparison:");
  const repeated = (text: string, before: readonly string[] = []) => [...before, text];
  const counted = (flags: string, text: string) => grouped(flags, text).argParser(parseCount());
  return [
    grouped(
      "--vary <setting=a,b,…>",
      "what differs: a setting of train and its values; several times for each combination",
    ).argParser(repeated),
    grouped("--tasks <a,b,…>", "short for --vary task=a,b,…"),
    grouped("--models <a,b,…>", "short for --vary model=a,b,…"),
    grouped("--mixers <a,b,…>", "short for --vary mixer=a,b,…"),
    grouped("--positions <a,b,…>", "short for --vary position=a,b,…. Default: sinusoidal,rotary,t5,alibi"),
    grouped("--variants <file>", "a JSON list of settings that differ, each as in a file of --config"),
    counted(
      "--seeds <n>",
      "runs of each variant on each task, with seeds from --seed on. Default: 3, and 1 of the first look",
    ),
    grouped("--lengths <n,n,…>", "lengths at which quality, time and memory are measured").argParser((text: string) =>
      parseCounts(text),
    ),
    grouped(
      "--multiples <n,n,…>",
      "the same as multiples of the training length. Default: 1,2,4,8 where rows may be longer, otherwise 1",
    ).argParser((text: string) => parseCounts(text)),
    counted("--budget-tokens <n>", "train each on this many tokens, instead of --steps"),
    grouped("--budget-seconds <x>", "train each for this time").argParser(parseNumber),
    grouped("--budget-flops <x>", "train each with this many floating point operations").argParser(parseNumber),
    counted(
      "--test-tokens <n>",
      "tokens, or rows with a class, of each final evaluation. Default: the task's own number",
    ),
    grouped("--self-pretrain", "also train each on the task's own inputs first, and say whether the ranking survives"),
    grouped(
      "--search <setting=a,b,…>",
      "choose a setting for each variant on the validation split: values, or a range such as 1e-4..1e-2",
    ).argParser(repeated),
    grouped("--search-method <name>", "all values, random ones, or successive halving. Default: grid").choices([
      "grid",
      "random",
      "asha",
    ]),
    counted("--search-trials <n>", "how many candidates random and asha draw. Default: 8"),
    grouped("--search-seed <n>", "draws the candidates. Default: 0").argParser(parseCount(0)),
    grouped(
      "--measure-only",
      "measure time and memory of steps, and train nothing. Default of what differs: every member",
    ),
    counted("--jobs <n>", "processes at a time. Default: 1, so that measured speeds are not disturbed"),
    grouped("--out <dir>", "folder of runs and comparisons; finished runs in it are not made again. Default: runs"),
    grouped("--config <file>", "settings that all share, and a section `compare`; flags win over it"),
    grouped("--json", "print the results as JSON"),
  ].reduce((with_, option) => with_.addOption(option), command);
}

const examples = `
Without anything to compare it makes a first look, within two minutes: position schemes on text beyond the training length, and mechanisms
on a task of recall. Called again, finished runs are taken as they are and interrupted ones go on. Sizes, steps and length suit the task. Values with
commas stand in brackets: --vary 'mixer=softmax,[local*2,routing*2]'. A comparison's folder holds report.html, and settings.json,
which --config takes to make it again.

Examples:
  tsformers compare
  tsformers compare --task text --data book.txt --positions sinusoidal,rotary,t5,alibi
  tsformers compare --task listops --mixers softmax,linear,performer,lsh --jobs 2
  tsformers compare --tasks recall,copy,induction --mixers softmax,linear,delta-net
  tsformers compare --vary mixer=performer,rfa --vary mixer.features=16,64
  tsformers compare --models gpt,llama,bloom --task text --data book.txt --budget-seconds 120
  tsformers compare --task recall --mixers softmax,linear --search learning-rate=3e-4,1e-3,3e-3 --search-method asha
  tsformers compare --measure-only --lengths 1024,4096
  tsformers compare --config runs/compare-text-1a2b3c4d/settings.json --seeds 5`;

function finish({ comparison, folder, problem }: ComparisonOutcome, { json }: Flags, terminal: Terminal): void {
  const { complete, runs, costs } = comparison;
  const failed = runs.filter((run) => "failure" in run.outcome).length;
  const place = relative(".", folder) || folder;
  const hasResults = runs.length > 0 || costs.length > 0;
  const result = { ...comparison, ...(hasResults && { folder }) };
  if (!json && hasResults) {
    const { tables, crossovers, notes } = comparisonTables(comparison);
    terminal.out(`\n${tables.map((table) => renderTable(table, terminal.columns, terminal.bold)).join("\n\n")}`);
    const lines = (sentences: readonly string[]) =>
      sentences.map((sentence) => wrapLines(sentence, terminal.columns, terminal.columns - 2).join("\n  ")).join("\n");
    if (notes.length > 0) terminal.out(`\n${terminal.dim(lines(notes))}`);
    for (const sentences of [crossovers, adviceOf(comparison)])
      if (sentences.length > 0) terminal.out(`\n${lines(sentences)}`);
    const report = `report  ${place}/${comparisonFiles.report}`;
    if (problem === undefined) terminal.out(`\n${wrapText(report, terminal.columns)}`);
  }
  if (!complete) throw new Failure("interrupted", "interrupted; the same command goes on from here", result);
  if (problem !== undefined) {
    throw new Failure("failed", `not all could be written: ${problem.message}; the same command writes it`, result);
  }
  if (failed > 0) {
    const message = `${failed} of ${runs.length} runs failed; the same command tries them again`;
    throw new Failure("failed", message, result);
  }
  if (json) terminal.out(JSON.stringify(result, null, 2));
  else terminal.log(terminal.dim(nextSteps(comparison, terminal.columns)));
}

function nextSteps({ runs, seeds }: Comparison, columns: number): string {
  const isTrained = runs.length > 0;
  const hasData = runs.some(({ config }) => typeof config.task.data === "string");
  const steps = [
    ...(hasData ? [] : [["your own text", "tsformers compare --task text --data FILE_OR_FOLDER"] as const]),
    ...(isTrained && seeds < 3 ? [["is it chance?", "the same with --seeds 3"] as const] : []),
    ...(isTrained ? [["time and memory", "tsformers compare --measure-only --lengths 1024,4096"] as const] : []),
    ["all runs so far", "tsformers runs"] as const,
    ["what is there", "tsformers list"] as const,
  ];
  const ending = wrapText("In a checkout, write `npx tsformers` for `tsformers`.", columns);
  return `\nTry next:\n${definitionList(steps, columns)}\n${ending}`;
}

/** Arguments as a shell takes them. */
function commandLine(args: readonly string[]): string {
  return ["tsformers", ...args.map(shellWord)].join(" ");
}
