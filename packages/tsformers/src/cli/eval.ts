import { Command, Option } from "commander";
import { multipleText } from "../compare/text/figures.ts";
import { renderTable, shortLabel } from "../compare/text/table.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { evaluateAtLengths } from "../run/evaluate-run.ts";
import { count, positionCount } from "../schema/count.ts";
import { present } from "../schema/present.ts";
import type { EvalTotals } from "../tasks/metric.ts";
import type { EvalSplit, Task } from "../tasks/task.ts";
import { parseCount, parseList, parseShare } from "./config-flags.ts";
import { translates, translationFigures, translationLine, usualTranslations } from "./eval-translations.ts";
import { Failure, UsageError, unlessAborted } from "./exit.ts";
import { addReadingFlags, type ReadingFlags, withReading } from "./reading.ts";
import type { Terminal } from "./terminal.ts";

type EvalFlags = ReadingFlags & {
  readonly lengths?: readonly number[];
  readonly split: EvalSplit;
  readonly limit?: number;
  readonly stride?: number;
  readonly store?: string;
  readonly nearest?: number;
  readonly lambda?: number;
  readonly approximate?: true;
  readonly sentences?: number;
  readonly beams?: number;
};

/** `tsformers eval DIR`: loss and the task's own figures, at any length. */
export function evalCommand(terminal: Terminal): Command {
  const command = new Command("eval")
    .argument("<dir>", "directory of the run or checkpoint")
    .option("--lengths <n,n,…>", "tokens in a row; default: the training length", parsePositions)
    .addOption(new Option("--split <name>", "which part of the data").choices(["valid", "test"]).default("test"))
    .option("--limit <n>", "tokens that are scored at each length", parseCount())
    .option(
      "--stride <n>",
      "slide windows by n tokens and score the last n of each; default: windows that do not overlap",
      parseCount(),
    )
    .option("--store <dir>", "mix with what a datastore of `tsformers store build` holds (kNN-LM)")
    .option("--nearest <n>", "with --store: neighbours; default: the best on the validation split", parseCount())
    .option(
      "--lambda <x>",
      "with --store: share of the neighbours; default: the best on the validation split",
      parseShare,
    )
    .option(
      "--approximate",
      "with --store: search by a graph (HNSW), which needs the package usearch; its recall is told",
    )
    .option(
      "--sentences <n>",
      `of translation: sentences that are translated and scored by BLEU, 0 for none; default: ${usualTranslations.sentences}`,
      parseCount(0),
    )
    .option(
      "--beams <n>",
      `of translation: candidates of the beam search; default: ${usualTranslations.beams}`,
      parseCount(1, count(256, "each is a row of every step")),
    );
  return addReadingFlags(command)
    .addHelpText(
      "after",
      `
A run is measured on its own task; if its data lie elsewhere now, --data says where.

Examples:
  tsformers eval runs/book
  tsformers eval runs/book --lengths 128,256,512,1024 --json
  tsformers eval runs/book --lengths 512 --stride 64
  tsformers eval runs/book --store stores/book
  tsformers eval runs/book --data moved/book.txt
  tsformers eval runs/book --data another.txt --other-data
  tsformers eval runs/swedish --sentences 2000 --beams 8
  tsformers eval gpt2 --task text --data book.txt --lengths 256`,
    )
    .action(async (directory: string, options: EvalFlags) => {
      requireStore(options);
      return withReading(terminal, directory, options, async (reading) => {
        const { opened, task, device, signal, length: usual, batchSize } = reading;
        const { config, step } = opened.run ?? {};
        if (options.store !== undefined) {
          const { evaluateWithStore } = await import("./eval-store.ts");
          const work = evaluateWithStore(terminal, {
            ...{ opened, task, device, signal, batchSize, length: usual },
            model: reading.model as LanguageModel,
            store: options.store,
            split: options.split,
            ...present({
              stride: options.stride,
              limit: options.limit,
              nearest: options.nearest,
              lambda: options.lambda,
            }),
            ...(options.approximate && { approximate: true }),
            ...(options.json && { json: true }),
          });
          return await unlessAborted(signal, work);
        }
        const wanted = requireTranslations(options, translates(opened, task));
        const work = evaluateAtLengths(reading, opened.params as never, device, {
          split: options.split,
          lengths: options.lengths ?? [usual],
          batchTokens: batchSize * usual,
          signal,
          ...present({ limit: options.limit, stride: options.stride }),
        });
        const results = await unlessAborted(signal, work);
        const measured = results.map((result) =>
          "missing" in result ? result : { ...result, metrics: figuresOf(task, result.totals) },
        );
        const { split, stride } = options;
        const outcome = {
          directory,
          step,
          split,
          ...present({ stride }),
          trainLength: config?.length ?? null,
          results: measured,
        };
        const missing = measured.flatMap((result) => ("missing" in result ? [result.missing] : []));
        if (missing.length === measured.length) throw new Failure("failed", missing.join("\n"), outcome);
        const translating =
          wanted && translationFigures(opened, task, { terminal, device, signal, batchSize, split, ...wanted });
        const bleu = translating && (await unlessAborted(signal, translating));
        if (options.json) return terminal.out(JSON.stringify({ ...outcome, ...present({ bleu }) }, null, 2));
        const header = ["length", ...task.metrics.map(({ label }) => shortLabel(label)), "tokens/s"];
        const rows = measured.map((result) => {
          const times = config === undefined ? "" : ` (${multipleText(result.length, config.length)})`;
          const length = `${result.length}${times}`;
          if ("missing" in result) return [length, result.missing, ...header.slice(2).map(() => "–")];
          return [
            length,
            ...task.metrics.map(({ name }) => figureText(result.metrics[name]!)),
            result.tokensPerSecond.toFixed(0),
          ];
        });
        terminal.out(
          renderTable(
            {
              title: [
                directory,
                ...(step === undefined ? [] : [`step ${step}`]),
                `${split} split`,
                ...(stride === undefined ? [] : [`stride ${stride}`]),
              ].join(", "),
              header,
              rows,
            },
            terminal.columns,
            terminal.bold,
          ),
        );
        for (const result of measured)
          if ("note" in result) terminal.out(terminal.dim(`${result.length}: ${result.note}`));
        if (bleu !== undefined) terminal.out(translationLine(bleu));
      });
    });
}

/** @throws UsageError for flags that do not go together */
function requireStore({ store, nearest, lambda, approximate, lengths }: EvalFlags): void {
  const idle = Object.entries({ nearest, lambda, approximate }).find(([, value]) => value !== undefined);
  if (store === undefined && idle !== undefined)
    throw new UsageError(`--${idle[0]}: is for --store, which is not there`);
  if (store !== undefined && lengths !== undefined)
    throw new UsageError("--lengths: with --store rows have the training length; leave it out");
}

/**
 * How much is translated; absent where nothing is.
 *
 * @throws UsageError for flags of translations where nothing can be translated
 */
function requireTranslations(
  flags: EvalFlags,
  isTranslation: boolean,
): { sentences: number; beams: number } | undefined {
  const { sentences = usualTranslations.sentences, beams = usualTranslations.beams } = flags;
  if (isTranslation) return sentences === 0 ? undefined : { sentences, beams };
  const idle = (["sentences", "beams"] as const).find((name) => flags[name] !== undefined);
  if (idle === undefined) return undefined;
  throw new UsageError(`--${idle}: is for runs that translate, which this one does not`);
}

function parsePositions(text: string): number[] {
  return parseList(text).map(parseCount(1, positionCount()));
}

/** The figures of a task, by name. */
export function figuresOf({ metrics }: Pick<Task, "metrics">, totals: EvalTotals): Record<string, number> {
  return Object.fromEntries(metrics.map((metric) => [metric.name, metric.value(totals)]));
}

/** Four decimals, of large perplexities fewer. */
export function figureText(value: number): string {
  return value.toFixed(value < 100 ? 4 : value < 1000 ? 2 : 0);
}
