import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { makeModel } from "../run/model.ts";
import { readingOf, taskOf } from "../run/prepare.ts";
import type { Task } from "../tasks/task.ts";
import { describeEnvironment } from "./environment.ts";
import type { ChildMessage } from "./messages.ts";
import { type CompareOptions, type PlannedRun, planRuns, type RunJob } from "./plan.ts";
import { renderReport } from "./report.ts";
import type { CompareRun, Comparison } from "./results.ts";
import { type RunOutcome, startRun } from "./start-run.ts";

export type CompareEvent =
  | { readonly kind: "planned"; readonly runs: readonly PlannedRun[] }
  | { readonly kind: "started"; readonly run: PlannedRun; readonly index: number; readonly count: number }
  | { readonly kind: "message"; readonly run: PlannedRun; readonly message: ChildMessage }
  | {
      readonly kind: "ended";
      readonly run: PlannedRun;
      readonly index: number;
      readonly count: number;
      readonly outcome: RunOutcome;
    };

export type RunComparisonOptions = {
  /** Directory of the runs, results.json and report.html. */
  readonly directory: string;
  /** The command that repeats it, for the report. */
  readonly command: string;
  readonly signal: AbortSignal;
  onEvent?(event: CompareEvent): void;
};

/** Results so far, and whether all runs were tried. */
export type ComparisonOutcome = {
  readonly comparison: Comparison;
  readonly complete: boolean;
  readonly resultsPath: string;
  readonly reportPath: string;
};

/**
 * Makes every run of a comparison, one at a time so that measurements do not disturb each other. Finished runs of an earlier
 * call are reused and interrupted ones resumed; a run that fails is reported and the others continue. Results and report
 * are written after each run.
 *
 * @throws Error before anything is started if model and task do not fit
 */
export async function runComparison(
  options: CompareOptions,
  { directory, command, signal, onEvent }: RunComparisonOptions,
): Promise<ComparisonOutcome> {
  const planned = planRuns(options, directory);
  const task = await taskOf(planned[0]!.job.config);
  for (const { job } of planned) if (job.config.seed === options.config.seed) await requireRows(task, job);
  onEvent?.({ kind: "planned", runs: planned });
  mkdirSync(directory, { recursive: true });
  const about = {
    format: "tsformers-comparison" as const,
    version: 1 as const,
    title: titleOf(options, task.name),
    command,
    environment: describeEnvironment(),
    metrics: task.metrics.map(({ name, label, better }) => ({ name, label, better })),
    trainLength: options.config.length,
    lengths: [...options.lengths],
  };
  const [resultsPath, reportPath] = [join(directory, "results.json"), join(directory, "report.html")];
  const runs: CompareRun[] = [];
  const comparisonNow = (): Comparison => ({ ...about, finishedAt: new Date().toISOString(), runs: [...runs] });
  for (const [index, run] of planned.entries()) {
    const place = { run, index, count: planned.length };
    onEvent?.({ kind: "started", ...place });
    const outcome = await startRun(run, {
      signal,
      onMessage: (message) => onEvent?.({ kind: "message", run, message }),
    });
    onEvent?.({ kind: "ended", ...place, outcome });
    if (outcome === "interrupted") return { comparison: comparisonNow(), complete: false, resultsPath, reportPath };
    const { id, variant, seed, directory: home, job } = run;
    runs.push({ id, variant, seed, directory: home, config: job.config, outcome });
    const comparison = comparisonNow();
    await writeFileAtomic(resultsPath, `${JSON.stringify(comparison, null, 1)}\n`);
    await writeFileAtomic(reportPath, renderReport(comparison));
  }
  return { comparison: comparisonNow(), complete: true, resultsPath, reportPath };
}

/**
 * Checks the data that a run will train and be measured on, so that errors come before the first run.
 *
 * @throws Error when its model cannot read the task, or the task has no row of the training length for it
 */
async function requireRows(task: Task, { config, testTokens }: RunJob): Promise<void> {
  const { batchSize, length } = config;
  const model = await makeModel(config, task.vocabularySize);
  const { view } = readingOf(task, model, { ...config, name: config.model.kind });
  const limit = testTokens === undefined ? {} : { limit: Math.max(testTokens, length) };
  view.evalBatches("valid", { batchSize, length });
  view.evalBatches("test", { batchSize, length, ...limit });
}

function titleOf({ models, positions, config }: CompareOptions, task: string): string {
  const what =
    models.length > 1
      ? models.join(", ")
      : `${models[0]}${positions.length > 0 ? ` with ${positions.join(", ")}` : ""}`;
  const data = typeof config.task.data === "string" ? ` (${config.task.data.split(/[\\/]/).at(-1)})` : "";
  return `${what} on ${task}${data}`;
}
