import { openDevice } from "@tsformers/engine/node";
import { Command, Option } from "commander";
import { multipleText } from "../compare/figures.ts";
import { renderTable } from "../compare/table.ts";
import { rowCount } from "../options/count.ts";
import { evaluateAtLengths, type LengthResult } from "../run/evaluate-run.ts";
import { loadRun } from "../run/load-run.ts";
import type { EvalSplit } from "../tasks/task.ts";
import { parseCount, parseCounts } from "./config-flags.ts";
import { interruption, unlessAborted } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

type EvalFlags = {
  readonly lengths?: readonly number[];
  readonly split: EvalSplit;
  readonly limit?: number;
  readonly batchSize?: number;
  readonly device?: "cpu" | "webgpu" | "cuda";
  readonly json?: true;
};

/** `tsformers eval DIR`: loss and the task's own figures, at any length. */
export function evalCommand(terminal: Terminal): Command {
  return new Command("eval")
    .description("measure a trained run, at any lengths")
    .argument("<dir>", "directory of the run")
    .option("--lengths <n,n,…>", "tokens in a row; the training length unless given", parseCounts)
    .addOption(new Option("--split <name>", "which part of the data").choices(["valid", "test"]).default("test"))
    .option("--limit <n>", "tokens that are scored at each length", parseCount())
    .option("--batch-size <n>", "rows at the training length; the run's unless given", parseCount(1, rowCount()))
    .addOption(
      new Option("--device <name>", "where it runs; as in training unless given").choices(["cpu", "webgpu", "cuda"]),
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers eval runs/book\n  tsformers eval runs/book --lengths 128,256,512,1024 --json",
    )
    .action(async (directory: string, options: EvalFlags) => {
      const { run, params, step, problems } = await loadRun(directory);
      for (const { message } of problems) terminal.log(`a damaged checkpoint was skipped: ${message}`);
      const { config, task } = run;
      const { signal, release } = interruption();
      const device = await openDevice(options.device ?? config.device, { worker: true });
      try {
        const work = evaluateAtLengths(run, params as never, device, {
          split: options.split,
          lengths: options.lengths ?? [config.length],
          signal,
          ...(options.limit !== undefined && { limit: options.limit }),
          ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
        });
        const results = await unlessAborted(signal, work);
        const measured = results.map((result) =>
          "missing" in result ? result : { ...result, metrics: figures(task.metrics, result) },
        );
        if (options.json) {
          terminal.out(
            JSON.stringify(
              { directory, step, split: options.split, trainLength: config.length, results: measured },
              null,
              2,
            ),
          );
          return;
        }
        const header = ["length", ...task.metrics.map(({ label }) => label), "tokens/s"];
        const rows = measured.map((result) => {
          const length = `${result.length} (${multipleText(result.length, config.length)})`;
          if ("missing" in result) return [length, result.missing, ...header.slice(2).map(() => "–")];
          return [
            length,
            ...task.metrics.map(({ name }) => result.metrics[name]!.toFixed(4)),
            result.tokensPerSecond.toFixed(0),
          ];
        });
        terminal.out(
          renderTable(
            { title: `${directory}, step ${step}, ${options.split} split`, header, rows },
            terminal.columns,
            terminal.bold,
          ),
        );
      } finally {
        release();
        if (!signal.aborted) await device.close();
      }
    });
}

type Measured = Exclude<LengthResult, { missing: string }>;

function figures(
  metrics: readonly { name: string; value(totals: Measured["totals"]): number }[],
  { totals }: Measured,
): Record<string, number> {
  return Object.fromEntries(metrics.map((metric) => [metric.name, metric.value(totals)]));
}
