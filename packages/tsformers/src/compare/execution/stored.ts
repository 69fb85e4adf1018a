import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { canonicalJson } from "../../run/canonical-json.ts";
import { packageVersion } from "../../run/version.ts";
import { present } from "../../schema/present.ts";
import type { LengthFigures, RunResult, StepCost } from "../results.ts";
import { type CostJob, resultFile, stepsFile, type TrainJob } from "./messages.ts";

/** Figures at a length, with how much was scored for them. */
export type Evaluated = LengthFigures & { readonly testTokens: number | null };

/** What a run has left on the disk: its result, once it is finished, and evaluations at all lengths that were asked for so far. */
export type StoredRun = {
  /** Absent while the run is paused. */
  readonly result?: Omit<RunResult, "byLength" | "metrics" | "scored">;
  readonly evaluated: readonly Evaluated[];
  /** Losses on the validation split where it was paused. */
  readonly rungs: readonly { readonly step: number; readonly loss: number }[];
};

type File<Job, Content> = { readonly version: string; readonly job: Job; readonly content: Content };

/** What this version has left of a run; nothing where there is none, or of another job. */
export function readStoredRun(directory: string, job: TrainJob): StoredRun {
  return readFile<TrainJob, StoredRun>(directory, resultFile, job) ?? { evaluated: [], rungs: [] };
}

export function writeStoredRun(directory: string, job: TrainJob, content: StoredRun): Promise<void> {
  return writeFile(directory, resultFile, job, content);
}

/** The measured steps of a job, at all lengths so far. */
export function readStoredCosts(directory: string, job: CostJob): readonly StepCost[] {
  return readFile<CostJob, readonly StepCost[]>(directory, stepsFile, job) ?? [];
}

export function writeStoredCosts(directory: string, job: CostJob, content: readonly StepCost[]): Promise<void> {
  return writeFile(directory, stepsFile, job, content);
}

/** The result of a finished run, if it was evaluated at its own length and all others that are asked for. */
export function resultAt(
  { result, evaluated }: StoredRun,
  { config }: TrainJob,
  { lengths, testTokens = null }: { readonly lengths: readonly number[]; readonly testTokens?: number | null },
): RunResult | undefined {
  if (result === undefined) return undefined;
  const at = (length: number) => evaluated.find((one) => one.length === length && one.testTokens === testTokens);
  const own = at(config.length);
  const cells = lengths.map(at);
  if (own === undefined || "missing" in own || cells.includes(undefined)) return undefined;
  const byLength = cells.map((cell): LengthFigures => {
    const { testTokens: _, ...rest } = cell!;
    return rest;
  });
  return { ...result, metrics: own.metrics, ...present({ scored: own.scored }), byLength };
}

function readFile<Job, Content>(directory: string, file: string, job: Job): Content | undefined {
  try {
    const found = JSON.parse(readFileSync(join(directory, file), "utf8")) as File<Job, Content>;
    const isSame = found.version === packageVersion && canonicalJson(found.job) === canonicalJson(job);
    return isSame ? found.content : undefined;
  } catch {
    // Not there, or not whole: it is made again.
    return undefined;
  }
}

function writeFile<Job, Content>(directory: string, file: string, job: Job, content: Content): Promise<void> {
  const whole: File<Job, Content> = { version: packageVersion, job, content };
  return writeFileAtomic(join(directory, file), `${JSON.stringify(whole, null, 1)}\n`);
}
