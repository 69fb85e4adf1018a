import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { canonicalJson } from "../run/canonical-json.ts";
import { packageVersion } from "../run/version.ts";
import type { StoredResult } from "./measure-run.ts";
import { type ChildMessage, errorFile, jobFile, resultFile } from "./messages.ts";
import type { PlannedRun } from "./plan.ts";
import type { RunResult } from "./results.ts";

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
export async function startRun(
  { directory, job }: PlannedRun,
  options: { readonly signal: AbortSignal; onMessage(message: ChildMessage): void },
): Promise<RunOutcome> {
  const earlier = storedResult(directory);
  if (
    earlier !== undefined &&
    earlier.version === packageVersion &&
    canonicalJson(earlier.job) === canonicalJson(job)
  ) {
    return { result: earlier.result, reused: true };
  }
  if (options.signal.aborted) return "interrupted";
  mkdirSync(directory, { recursive: true });
  rmSync(join(directory, resultFile), { force: true });
  await writeFileAtomic(join(directory, jobFile), `${JSON.stringify(job, null, 1)}\n`);
  const ended = await runChild(directory, options);
  // Ended by the signal if the child did not listen yet, or was signalled twice.
  if (ended.code === 130 || ended.signal === "SIGINT") return "interrupted";
  const result = ended.code === 0 ? storedResult(directory)?.result : undefined;
  if (result !== undefined) return { result, reused: false };
  await writeFileAtomic(join(directory, errorFile), ended.errors);
  return { failure: failureText(ended) };
}

type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly errors: string };

function runChild(
  directory: string,
  options: { readonly signal: AbortSignal; onMessage(message: ChildMessage): void },
): Promise<Ended> {
  const program = fileURLToPath(new URL("./child.js", import.meta.url));
  // The child has its own process group: Ctrl-C reaches only this process, which forwards it once.
  const child: ChildProcess = fork(program, [directory], {
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

function storedResult(directory: string): StoredResult | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, resultFile), "utf8")) as StoredResult;
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
