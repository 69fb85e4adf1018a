import { join } from "node:path";
import { openDevice } from "@tsformers/engine/node";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { countParameters } from "../run/count-parameters.ts";
import { evaluateAtLengths, type LengthResult } from "../run/evaluate-run.ts";
import { runPaths } from "../run/folder.ts";
import type { PreparedRun } from "../run/prepare.ts";
import { trainRun } from "../run/train-run.ts";
import { packageVersion } from "../run/version.ts";
import { present } from "../schema/present.ts";
import type { ReadText } from "../tasks/text/tokenized-text.ts";
import { readMetrics } from "../train/metrics.ts";
import { median, peakMemory } from "./figures.ts";
import { type ChildMessage, resultFile } from "./messages.ts";
import type { RunJob } from "./plan.ts";
import type { CurvePoint, RunResult } from "./results.ts";

/** Result of a finished run on disk, with the job that it belongs to. */
export type StoredResult = { readonly version: string; readonly job: RunJob; readonly result: RunResult };

const curvePoints = 120;

/**
 * Makes one run of a comparison in its own process: trains (or resumes), evaluates at every length, writes `result.json`.
 *
 * @param options.listen called when updates begin: from then on there is progress to save on a signal
 * @returns whether it was finished; `false` if `signal` aborted first
 */
export async function measureRun(
  directory: string,
  job: RunJob,
  options: {
    readonly signal: AbortSignal;
    /** The text of the task's data, if it was read already. */
    readonly text?: ReadText;
    listen(): void;
    tell(message: ChildMessage): void;
  },
): Promise<boolean> {
  const start = performance.now();
  const { signal, text, listen, tell } = options;
  // In a worker, so that signals are handled during a step.
  const device = await openDevice(job.config.device, { worker: true });
  try {
    const { run, result } = await trainRun(job.config, {
      directory,
      device,
      signal,
      waitMs: 60_000,
      ...present({ text }),
      onEvent: (event) => {
        if (event.kind === "prepared") listen();
        else if (event.kind === "step") {
          const { step, totalSteps, loss, tokensPerSecond, secondsLeft } = event;
          tell({ kind: "step", step, totalSteps, loss, tokensPerSecond, secondsLeft });
        } else if (event.kind === "resumed") tell({ kind: "note", message: `going on after step ${event.step}` });
        else if (event.kind === "damaged")
          tell({ kind: "note", message: `a damaged checkpoint was skipped: ${event.problem.message}` });
      },
    });
    if (result.ended === "interrupted") return false;
    const peakBytes = peakMemory();
    const params = result.average ?? result.params;
    const lengths = [...new Set([run.config.length, ...job.lengths])];
    const evaluated = await evaluateAtLengths(run, params as never, device, {
      split: "test",
      lengths,
      batchTokens: run.config.batchSize * run.config.length,
      signal,
      ...present({ limit: job.testTokens }),
    });
    const seconds = (performance.now() - start) / 1000;
    const outcome = outcomeOf(run, evaluated, { directory, parameters: countParameters(params), peakBytes, seconds });
    const stored: StoredResult = { version: packageVersion, job, result: outcome };
    await writeFileAtomic(join(directory, resultFile), `${JSON.stringify(stored, null, 1)}\n`);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    await device.close();
  }
}

function outcomeOf(
  { config, task }: PreparedRun,
  evaluated: readonly LengthResult[],
  facts: { directory: string; parameters: number; peakBytes: number; seconds: number },
): RunResult {
  const { directory, ...rest } = facts;
  const trained = evaluated.find(({ length }) => length === config.length)!;
  if ("missing" in trained) throw new Error(trained.missing);
  const records = readMetrics(runPaths(directory).metrics);
  const points = (name: string): CurvePoint[] =>
    records.flatMap((record) => (typeof record[name] === "number" ? [{ step: record.step, loss: record[name] }] : []));
  return {
    ...rest,
    metrics: Object.fromEntries(task.metrics.map((metric) => [metric.name, metric.value(trained.totals)])),
    byLength: evaluated.map((cell) => {
      if ("missing" in cell) return cell;
      const { length, loss, note } = cell;
      return { length, loss, ...present({ note }) };
    }),
    trainCurve: smoothed(points("loss"), curvePoints),
    validCurve: points("valid/loss"),
    trainTokensPerSecond: median(
      records.flatMap(({ tokensPerSecond }) => (typeof tokensPerSecond === "number" ? [tokensPerSecond] : [])),
    ),
    evalTokensPerSecond: trained.tokensPerSecond,
  };
}

/** Averages points over equal stretches, to at most `count` of them. */
function smoothed(points: readonly CurvePoint[], count: number): CurvePoint[] {
  const width = Math.ceil(points.length / count);
  return Array.from({ length: Math.ceil(points.length / Math.max(width, 1)) }, (_, i) => {
    const part = points.slice(i * width, (i + 1) * width);
    return { step: part.at(-1)!.step, loss: part.reduce((sum, { loss }) => sum + loss, 0) / part.length };
  });
}
