import { type ChildProcess, fork } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { makeFolder } from "../io/make-folder.ts";
import { canonicalJson } from "../run/canonical-json.ts";
import { packageVersion } from "../run/version.ts";
import type { StoredResult } from "./measure-run.ts";
import type { StoredSteps } from "./measure-steps.ts";
import { type ChildMessage, type ChildWork, errorFile, jobFile, resultFile, stepsFile } from "./messages.ts";
import type { PlannedRun, RunJob } from "./plan.ts";
import type { RunResult, StepCost } from "./results.ts";

/** How a run ended. */
export type RunOutcome =
  | { readonly result: RunResult; readonly reused: boolean }
  | { readonly failure: string }
  | "interrupted";

/** How many lines of a failed process's output are shown; the rest is in its log. */
const shownLines = 6;

/**
 * Makes one run of a comparison in a process of its own, so that memory is measured per run and a crash affects no other run.
 * A stored result is reused if this version made it from the same job.
 */
export async function startRun(planned: PlannedRun, options: StartOptions): Promise<RunOutcome> {
  const outcome = await trained(planned, options);
  if (outcome === "interrupted" || "failure" in outcome || !planned.measuresSteps) return outcome;
  const steps = await measuredSteps(planned, options);
  return steps === "interrupted" ? steps : { ...outcome, result: { ...outcome.result, steps } };
}

export type StartOptions = {
  readonly signal: AbortSignal;
  /** Where the text of the run's data lies as tokens; undefined for tasks that read none. */
  text(): Promise<string | undefined>;
  onMessage(message: ChildMessage): void;
};

async function trained({ directory, job }: PlannedRun, options: StartOptions): Promise<RunOutcome> {
  const earlier = stored<StoredResult>(directory, resultFile, job);
  if (earlier !== undefined) return { result: earlier.result, reused: true };
  if (options.signal.aborted) return "interrupted";
  makeFolder(directory);
  rmSync(join(directory, resultFile), { force: true });
  await writeFileAtomic(join(directory, jobFile), `${JSON.stringify(job, null, 1)}\n`);
  const ended = await runChild(directory, "train", options);
  if (isInterrupted(ended)) return "interrupted";
  const made = ended.code === 0 ? stored<StoredResult>(directory, resultFile, job) : undefined;
  if (made !== undefined) return { result: made.result, reused: false };
  await writeFileAtomic(join(directory, errorFile), ended.errors);
  return { failure: failureText(ended) };
}

/** What a step costs at each length. Where a process does not come through, its lengths are missing. */
async function measuredSteps(
  { directory, job }: PlannedRun,
  options: StartOptions,
): Promise<readonly StepCost[] | "interrupted"> {
  const earlier = stored<StoredSteps>(directory, stepsFile, job)?.steps ?? [];
  if (earlier.length === job.lengths.length) return earlier;
  if (options.signal.aborted) return "interrupted";
  options.onMessage({ kind: "note", message: `measuring a step at ${job.lengths.join(", ")}` });
  const ended = await runChild(directory, "steps", options);
  if (isInterrupted(ended)) return "interrupted";
  const steps = stored<StoredSteps>(directory, stepsFile, job)?.steps ?? [];
  const missing = failureText(ended).split("\n").at(-1)!;
  return job.lengths.map((length) => steps.find((step) => step.length === length) ?? { length, missing });
}

/** By the signal itself if the child did not listen yet, or was signalled twice. */
function isInterrupted({ code, signal }: Ended): boolean {
  return code === 130 || signal === "SIGINT";
}

type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly errors: string };

async function runChild(directory: string, work: ChildWork, options: StartOptions): Promise<Ended> {
  const text = await options.text();
  const program = fileURLToPath(new URL("./child.js", import.meta.url));
  // The child has its own process group: Ctrl-C reaches only this process, which forwards it once.
  const child: ChildProcess = fork(program, [directory, work, ...(text === undefined ? [] : [text])], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-100_000);
  });
  child.on("message", (message) => options.onMessage(message as ChildMessage));
  const interrupt = () => void child.kill("SIGINT");
  options.signal.addEventListener("abort", interrupt, { once: true });
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 1, signal: null, errors: `${errors}${error.message}\n` }));
    child.on("close", (code, signal) => {
      options.signal.removeEventListener("abort", interrupt);
      resolve({ code, signal, errors });
    });
  });
}

/** What this version has left of the same job. */
function stored<Stored extends { readonly version: string; readonly job: RunJob }>(
  directory: string,
  file: string,
  job: RunJob,
): Stored | undefined {
  try {
    const found = JSON.parse(readFileSync(join(directory, file), "utf8")) as Stored;
    return found.version === packageVersion && canonicalJson(found.job) === canonicalJson(job) ? found : undefined;
  } catch {
    return undefined;
  }
}

function failureText({ code, signal, errors }: Ended): string {
  const lines = errors.trim().split("\n").slice(-shownLines).join("\n");
  if (signal === "SIGKILL") return `killed from outside, perhaps for lack of memory${lines === "" ? "" : `\n${lines}`}`;
  if (lines !== "") return lines;
  return signal === null ? `ended with code ${code}` : `ended by ${signal}`;
}
