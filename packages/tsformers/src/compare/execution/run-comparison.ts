import { availableParallelism } from "node:os";
import { join } from "node:path";
import { FileError } from "../../io/file-error.ts";
import { makeFolder } from "../../io/make-folder.ts";
import { ConfigError } from "../../run/config-error.ts";
import { isRunFolder } from "../../run/folder.ts";
import { removeRemains } from "../../run/remains.ts";
import { present } from "../../schema/present.ts";
import { openStore } from "../../store/store.ts";
import type { Cell } from "../cells.ts";
import type { CellCosts, CompareRun, Comparison, RunResult, StepCost, Trial } from "../results.ts";
import type { CompareSettings, SearchSettings } from "../settings.ts";
import { writeComparison } from "../write-comparison.ts";
import { describeEnvironment } from "./environment.ts";
import { fingerprint } from "./fingerprint.ts";
import type { ChildMessage, ChildWork } from "./messages.ts";
import { costOf, fileName, type PlannedCell, type PlannedRun, runOf, runsOf } from "./plan.ts";
import { pool } from "./pool.ts";
import { type PreparedComparison, prepareComparison } from "./prepare-comparison.ts";
import { type ChildOutcome, runChild } from "./run-child.ts";
import { bestTrial, nextTrial, rungsOf, type TrialOutcome } from "./search.ts";
import { shareText } from "./shared-text.ts";
import { readStoredCosts, readStoredRun, resultAt } from "./stored.ts";

/** A piece of work that a comparison consists of. */
export type WorkItem = {
  readonly kind: "search" | "run" | "cost";
  readonly task: string;
  readonly variant: string;
  /** Of a run; absent of costs. */
  readonly seed?: number;
  readonly pretrained?: boolean;
  /** What a search tries, such as `learning-rate=1e-3`. */
  readonly tried?: string;
};

export type CompareEvent =
  /** How many pieces of work there are in all; while a search goes on, the most that there may be. */
  | { readonly kind: "planned"; readonly items: number; readonly jobs: number; readonly folder: string }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "started"; readonly item: WorkItem }
  | { readonly kind: "message"; readonly item: WorkItem; readonly message: ChildMessage }
  | { readonly kind: "ended"; readonly item: WorkItem; readonly outcome: ItemOutcome };

export type ItemOutcome =
  | { readonly result: RunResult; readonly reused: boolean }
  | { readonly costs: readonly StepCost[]; readonly reused: boolean }
  | { readonly loss: number; readonly step: number; readonly reused: boolean }
  | { readonly failure: string }
  | "interrupted";

export type RunComparisonOptions = {
  /** Folder of runs, costs and comparisons. Default: `runs`. */
  readonly folder?: string | undefined;
  /** Processes at a time. Default: 1, so that measurements do not disturb each other. */
  readonly jobs?: number;
  /** The command that repeats it, for the report. */
  readonly command: string;
  /** What `compare --config` takes to repeat it. */
  readonly settings: unknown;
  readonly signal: AbortSignal;
  onEvent?(event: CompareEvent): void;
};

/** Results so far, and where they are. */
export type ComparisonOutcome = {
  readonly comparison: Comparison;
  readonly folder: string;
  /** Why not all of it could be written, such as that the disk is full. */
  readonly problem?: Error;
};

/**
 * Makes every run of a comparison, each in a process of its own. Finished runs of an earlier call, or of another comparison in the same folder, are
 * reused and interrupted ones resumed; a run that fails is reported and the others continue. Results and report are written after each run.
 *
 * First come searches, then the runs, then the costs of steps, which are measured one at a time.
 *
 * @throws ConfigError before anything is started, naming the variants whose model does not fit the task or the length
 */
export async function runComparison(
  cells: readonly Cell[],
  settings: CompareSettings,
  options: RunComparisonOptions,
): Promise<ComparisonOutcome> {
  const { folder = "runs", signal, onEvent = () => {} } = options;
  if (isRunFolder(folder)) throw new ConfigError(`${folder}: holds a run; name another folder for the comparison`);
  const prepared = await prepareComparison(cells, settings, (text) => onEvent({ kind: "note", text }));
  const seconds = settings.budget?.kind === "seconds" ? settings.budget.amount : undefined;
  const jobs = seconds === undefined ? (options.jobs ?? 1) : 1;
  const home = join(folder, nameOf(prepared, settings));
  const { cells: all } = prepared;
  const search = settings.measureOnly ? undefined : settings.search;
  let ended = 0;
  const tell = (event: CompareEvent): void => {
    if (event.kind === "ended") ended++;
    onEvent(event);
  };
  const afterSearch = countRuns(all, settings) + all.length;
  onEvent({ kind: "planned", items: countTrials(all, search) + afterSearch, jobs, folder: home });
  if (jobs < (options.jobs ?? 1))
    onEvent({ kind: "note", text: "a budget of time is spent by one run at a time; --jobs is left aside" });
  makeFolder(home);
  for (const place of [folder, home]) removeRemains(place);
  const work = worker({ folder, jobs, prepared, signal, onEvent: tell });
  const writer = openWriter(home, prepared, settings, options);

  let chosen = all;
  if (search !== undefined) {
    const best: PlannedCell[] = [];
    for (const cell of all) {
      const { config, trials } = await searched(cell, search.method, { folder, seconds, jobs, work });
      await writer.add({ trials });
      if (signal.aborted) return writer.outcome(false);
      best.push({ ...cell, config });
    }
    chosen = best;
    // Candidates that were left behind are not worked on.
    onEvent({ kind: "planned", items: ended + afterSearch, jobs, folder: home });
  }
  if (!settings.measureOnly) {
    const runs = runsOf(chosen, { folder, seeds: settings.seeds, seconds });
    writer.order(runs.map(({ directory }) => directory));
    await pool(runs, jobs, async (run) => {
      const outcome = await work.train(run);
      if (outcome === "interrupted") return false;
      const { id, task, variant, seed, pretrained, directory, job } = run;
      await writer.add({ runs: [{ id, task, variant, seed, pretrained, directory, config: job.config, outcome }] });
      return true;
    });
    if (signal.aborted) return writer.outcome(false);
  }
  for (const cell of chosen) {
    const steps = await work.measure(cell);
    if (steps === "interrupted") return writer.outcome(false);
    await writer.add({ costs: [{ task: cell.task, variant: cell.variant, steps }] });
  }
  return writer.outcome(true);
}

function countRuns(cells: readonly PlannedCell[], { seeds, measureOnly }: CompareSettings): number {
  if (measureOnly) return 0;
  return cells.reduce((sum, { pretrain }) => sum + (pretrain === undefined ? 1 : 2), 0) * seeds;
}

/** The most that a search may work on. */
function countTrials(cells: readonly PlannedCell[], search: SearchSettings | undefined): number {
  if (search === undefined) return 0;
  return cells.reduce((sum, { candidates }) => sum + candidates.length, 0) * rungsOf(search.method).length;
}

/** Comparisons of the same have the same name, and go on where they stopped. */
function nameOf({ cells }: PreparedComparison, settings: CompareSettings): string {
  const tasks = [...new Set(cells.map(({ config }) => config.task.kind))].join("-");
  const { set: _, vary: __, variants: ___, ...rest } = settings;
  const identity = fingerprint([
    rest,
    cells.map(({ config, data, candidates }) => [config, data, candidates.map((one) => one.config)]),
  ]);
  return `compare-${fileName(tasks)}-${identity}`;
}

type Worker = {
  train(run: PlannedRun): Promise<CompareRun["outcome"] | "interrupted">;
  /** Trains a candidate up to a step. */
  try(
    run: PlannedRun,
    step: number,
    tried: string,
  ): Promise<{ readonly loss: number } | { readonly failure: string } | "interrupted">;
  measure(cell: PlannedCell): Promise<readonly StepCost[] | "interrupted">;
};

function worker(options: {
  readonly folder: string;
  readonly jobs: number;
  readonly prepared: PreparedComparison;
  readonly signal: AbortSignal;
  onEvent(event: CompareEvent): void;
}): Worker {
  const { folder, jobs, prepared, signal, onEvent } = options;
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  const written = new Map<string, Promise<string>>();
  /** What this process has read, as a file for the others: written once, and only if a run needs it. */
  const textOf = (data: string): Promise<string> | undefined => {
    const text = prepared.texts.get(data);
    if (text === undefined) return undefined;
    const path = written.get(text.key) ?? shareText(folder, text.key, text.read).then(() => join(folder, text.key));
    written.set(text.key, path);
    return path;
  };
  const child = async (item: WorkItem, directory: string, work: ChildWork, alone = false): Promise<ChildOutcome> => {
    try {
      const text = await textOf(work.job.data);
      return await runChild(
        { directory, work, ...present({ text }), ...(jobs > 1 && !alone && { threads }) },
        { signal, onMessage: (message) => onEvent({ kind: "message", item, message }) },
      );
    } catch (error) {
      // Its folder cannot be written to; those of others may.
      if (error instanceof FileError) return { failure: error.message };
      throw error;
    }
  };
  const ended = <Outcome extends ItemOutcome>(item: WorkItem, outcome: Outcome): Outcome => {
    onEvent({ kind: "ended", item, outcome });
    return outcome;
  };
  return {
    train: async ({ task, variant, seed, pretrained, directory, job, lengths, testTokens }) => {
      const item: WorkItem = { kind: "run", task, variant, seed, pretrained };
      const asked = { lengths, ...present({ testTokens }) };
      const earlier = resultAt(readStoredRun(directory, job), job, asked);
      onEvent({ kind: "started", item });
      if (earlier !== undefined) return ended(item, { result: earlier, reused: true });
      const outcome = await child(item, directory, { kind: "train", job, ...asked });
      if (outcome !== "done") return ended(item, outcome);
      const result = resultAt(readStoredRun(directory, job), job, asked);
      return ended(
        item,
        result === undefined ? { failure: "its results are not on the disk" } : { result, reused: false },
      );
    },
    try: async ({ task, variant, seed, directory, job, lengths }, step, tried) => {
      const item: WorkItem = { kind: "search", task, variant, seed, tried };
      const known = () => readStoredRun(directory, job).rungs.find((rung) => rung.step === step)?.loss;
      const earlier = known();
      onEvent({ kind: "started", item });
      if (earlier !== undefined) return ended(item, { loss: earlier, step, reused: true });
      const outcome = await child(item, directory, { kind: "train", job, lengths, pauseAt: step });
      if (outcome !== "done") return ended(item, outcome);
      const loss = known();
      return ended(
        item,
        loss === undefined ? { failure: "its results are not on the disk" } : { loss, step, reused: false },
      );
    },
    measure: async (cell) => {
      const { task, variant, lengths } = cell;
      const item: WorkItem = { kind: "cost", task, variant };
      const { directory, job } = costOf(cell, folder);
      const known = () => readStoredCosts(directory, job).filter(({ length }) => lengths.includes(length));
      onEvent({ kind: "started", item });
      const earlier = known();
      if (earlier.length === lengths.length) return endedCosts(earlier, true);
      const outcome = await child(item, directory, { kind: "cost", job, lengths }, true);
      if (outcome === "interrupted") return ended(item, outcome);
      const made = known();
      const missing = outcome === "done" ? "was not measured" : outcome.failure.replaceAll(/\s+/g, " ");
      return endedCosts(
        lengths.map((length) => made.find((cost) => cost.length === length) ?? { length, missing }),
        false,
      );
      function endedCosts(costs: readonly StepCost[], reused: boolean): readonly StepCost[] {
        ended(item, { costs, reused });
        return costs;
      }
    },
  };
}

/** Searches the settings of a cell on the validation split. @returns its configuration with those of the best candidate */
async function searched(
  cell: PlannedCell,
  method: SearchSettings["method"],
  { folder, seconds, jobs, work }: { folder: string; seconds: number | undefined; jobs: number; work: Worker },
): Promise<{ readonly config: PlannedCell["config"]; readonly trials: readonly Trial[] }> {
  const { task, variant, candidates, config } = cell;
  const rungs = rungsOf(method);
  let trials: TrialOutcome[] = candidates.map((candidate) => ({
    settings: candidate.settings,
    run: runOf(cell, candidate.config, { folder, seconds }),
    rungs: [],
  }));
  const atWork = new Set<PlannedRun>();
  let interrupted = false;
  const lane = async (): Promise<void> => {
    for (;;) {
      const next = interrupted ? undefined : nextTrial(trials, atWork, rungs);
      if (next === undefined) return;
      const { run, settings } = next.trial;
      atWork.add(run);
      const outcome = await work.try(run, next.step, settingsText(settings));
      atWork.delete(run);
      if (outcome === "interrupted") {
        interrupted = true;
        return;
      }
      trials = trials.map((trial) => {
        if (trial.run !== run) return trial;
        if ("failure" in outcome) return { ...trial, failure: outcome.failure };
        return { ...trial, rungs: [...trial.rungs, { step: next.step, loss: outcome.loss }] };
      });
    }
  };
  // A lane that finds nothing to do ends; those that are at work may find more.
  await Promise.all(Array.from({ length: jobs }, lane));
  const best = bestTrial(trials, rungs);
  const told = trials.map(({ run, ...rest }) => ({ task, variant, ...rest, chosen: run === best?.run }));
  return { config: best === undefined ? config : best.run.job.config, trials: told };
}

/** `learning-rate=0.001, warm-up=100` */
function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/** Collects results, and writes everything anew whenever there is one more. */
function openWriter(
  folder: string,
  { budget, tasks, abouts, cells }: PreparedComparison,
  settings: CompareSettings,
  options: RunComparisonOptions,
) {
  const startedAt = new Date().toISOString();
  const environment = describeEnvironment();
  let [runs, costs, trials]: [CompareRun[], CellCosts[], Trial[]] = [[], [], []];
  let order: readonly string[] = [];
  let writing: Promise<void> = Promise.resolve();
  let problem: Error | undefined;
  const variants = [...new Set(cells.map(({ variant }) => variant))];
  const now = (complete: boolean): Comparison => ({
    format: "tsformers-comparison",
    version: 2,
    title: titleOf(variants, cells),
    command: options.command,
    settings: options.settings,
    startedAt,
    finishedAt: new Date().toISOString(),
    complete,
    environment,
    budget,
    seeds: settings.seeds,
    tasks,
    variants,
    cells: abouts,
    runs: runs.toSorted((a, b) => order.indexOf(a.directory) - order.indexOf(b.directory)),
    costs,
    trials,
  });
  const write = (complete: boolean): Promise<void> => {
    // One after the other: two runs may end at the same time.
    writing = writing.then(async () => {
      try {
        await writeComparison(folder, now(complete));
        problem = undefined;
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        // Results are in the folders of their runs, and all is written again after the next one.
        if (problem?.message !== error.message) options.onEvent?.({ kind: "note", text: error.message });
        problem = error;
      }
    });
    return writing;
  };
  return {
    order: (directories: readonly string[]) => {
      order = directories;
    },
    add: (more: { runs?: readonly CompareRun[]; costs?: readonly CellCosts[]; trials?: readonly Trial[] }) => {
      runs = [...runs, ...(more.runs ?? [])];
      costs = [...costs, ...(more.costs ?? [])];
      trials = [...trials, ...(more.trials ?? [])];
      return write(false);
    },
    outcome: async (complete: boolean): Promise<ComparisonOutcome> => {
      if (complete || runs.length + costs.length + trials.length > 0) await write(complete);
      try {
        // Opening it takes in what was written.
        await openStore(options.folder ?? "runs");
      } catch (error) {
        problem ??= error as Error;
      }
      return { comparison: now(complete), folder, ...present({ problem }) };
    },
  };
}

const mostNamed = 8;

function titleOf(variants: readonly string[], cells: readonly PlannedCell[]): string {
  const what = variants.length <= mostNamed ? variants.join(", ") : `${variants.length} variants`;
  const tasks = [...new Set(cells.map(({ task }) => task))];
  const sources = new Set(cells.map(({ config }) => config.task.data));
  const [data] = sources;
  const file = sources.size === 1 && typeof data === "string" ? ` (${data.split(/[\\/]/).at(-1)})` : "";
  return `${what} on ${tasks.length <= mostNamed ? tasks.join(", ") : `${tasks.length} tasks`}${file}`;
}
