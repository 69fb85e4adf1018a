import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { makeFolder } from "../io/make-folder.ts";
import { ConfigError } from "../run/config.ts";
import { isRunFolder } from "../run/folder.ts";
import { describeEnvironment } from "./environment.ts";
import { fingerprint } from "./fingerprint.ts";
import type { ChildMessage } from "./messages.ts";
import { type PlannedRun, planRuns, sharedSettings } from "./plan.ts";
import { type CompareOptions, prepareComparison } from "./prepare-comparison.ts";
import { renderReport } from "./report/render-report.ts";
import type { CompareRun, Comparison } from "./results.ts";
import { shareText } from "./shared-text.ts";
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
  /** Directory of the runs, results.json and report.html. Default: one in `runs`, named for what the variants share. */
  readonly directory?: string | undefined;
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
 * @throws ConfigError before anything is started, naming the variants whose model does not fit the task or the length
 */
export async function runComparison(
  options: CompareOptions,
  { directory: given, command, signal, onEvent }: RunComparisonOptions,
): Promise<ComparisonOutcome> {
  const { plan, tasks, texts } = await prepareComparison(options);
  const [task] = tasks as [(typeof tasks)[0], ...typeof tasks];
  const configs = plan.variants.map(({ config }) => config);
  const shared = fingerprint([sharedSettings(configs), tasks.map((one) => one.fingerprint)]);
  const directory = given ?? join("runs", `compare-${task.name}-${shared}`);
  if (isRunFolder(directory))
    throw new ConfigError(`${directory}: holds a run; name another folder for the comparison`);
  const planned = planRuns(plan, directory);
  onEvent?.({ kind: "planned", runs: planned });
  makeFolder(directory);
  const about = {
    format: "tsformers-comparison" as const,
    version: 1 as const,
    title: titleOf(options, task.name),
    command,
    environment: describeEnvironment(),
    metrics: task.metrics.map(({ name, label, better }) => ({ name, label, better })),
    trainLength: Math.min(...configs.map(({ length }) => length)),
    lengths: [...plan.lengths],
  };
  const [resultsPath, reportPath] = [join(directory, "results.json"), join(directory, "report.html")];
  const runs: CompareRun[] = [];
  const comparisonNow = (): Comparison => ({ ...about, finishedAt: new Date().toISOString(), runs: [...runs] });
  const written = new Map<string, Promise<string>>();
  /** What this process has read, as a file for the others: written once, and only if a run needs it. */
  const textOf = async ({ variant }: PlannedRun): Promise<string | undefined> => {
    const text = texts.get(variant);
    if (text === undefined) return undefined;
    const path =
      written.get(text.key) ?? shareText(directory, text.key, text.read).then(() => join(directory, text.key));
    written.set(text.key, path);
    return path;
  };
  for (const [index, run] of planned.entries()) {
    const place = { run, index, count: planned.length };
    onEvent?.({ kind: "started", ...place });
    const outcome = await startRun(run, {
      signal,
      text: () => textOf(run),
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

const mostNamed = 8;

function titleOf({ variants }: CompareOptions, task: string): string {
  const labels = variants.map(({ label }) => label);
  const what = labels.length <= mostNamed ? labels.join(", ") : `${labels.length} variants`;
  const sources = new Set(variants.map(({ config }) => config.task.data));
  const [data] = sources;
  const file = sources.size === 1 && typeof data === "string" ? ` (${data.split(/[\\/]/).at(-1)})` : "";
  return `${what} on ${task}${file}`;
}
