import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { makeFolder } from "../../io/make-folder.ts";
import { type ChildMessage, type ChildTask, errorFile, jobFile, reasonMark } from "./messages.ts";

/** How a process ended. */
export type ChildOutcome = "done" | "interrupted" | { readonly failure: string };

/** How many lines of the output of a process that said no reason are shown; the rest is in its log. */
const shownLines = 6;

/**
 * Does a piece of work in a process of its own, so that memory is measured for each and a crash affects no other. Its results lie in its
 * directory; what a failed one has written on stderr lies beside them.
 *
 * @throws FileError when the directory cannot be made or written to
 */
export async function runChild(
  task: ChildTask,
  options: { readonly signal: AbortSignal; onMessage(message: ChildMessage): void },
): Promise<ChildOutcome> {
  if (options.signal.aborted) return "interrupted";
  makeFolder(task.directory);
  await writeFileAtomic(join(task.directory, jobFile), `${JSON.stringify(task.work.job, null, 1)}\n`);
  const ended = await childEnd(task, options);
  if (isInterrupted(ended)) return "interrupted";
  if (ended.code === 0) return "done";
  // On a full disk, say, there is no log; the end of it is told all the same.
  await writeFileAtomic(join(task.directory, errorFile), ended.errors).catch(() => {});
  return { failure: failureText(ended) };
}

type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly errors: string };

function childEnd(
  task: ChildTask,
  { signal, onMessage }: { readonly signal: AbortSignal; onMessage(message: ChildMessage): void },
): Promise<Ended> {
  const program = fileURLToPath(new URL("./child.js", import.meta.url));
  // The child has its own process group: Ctrl-C reaches only this process, which forwards it once.
  const child: ChildProcess = fork(program, [JSON.stringify(task)], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-100_000);
  });
  child.on("message", (message) => onMessage(message as ChildMessage));
  const interrupt = () => void child.kill("SIGINT");
  signal.addEventListener("abort", interrupt, { once: true });
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 1, signal: null, errors: `${errors}${error.message}\n` }));
    child.on("close", (code, endSignal) => {
      signal.removeEventListener("abort", interrupt);
      resolve({ code, signal: endSignal, errors });
    });
  });
}

/** By the signal itself if the child did not listen yet, or was signalled twice. */
function isInterrupted({ code, signal }: Ended): boolean {
  return code === 130 || signal === "SIGINT";
}

/** Why a process failed: what it says itself; otherwise the end of what it and its libraries have written, without colours. */
function failureText({ code, signal, errors }: Ended): string {
  const text = stripVTControlCharacters(errors).trim();
  const said = text.lastIndexOf(reasonMark);
  const lines = said < 0 ? text.split("\n").slice(-shownLines).join("\n") : text.slice(said + reasonMark.length);
  if (signal === "SIGKILL") return `killed from outside, perhaps for lack of memory${lines === "" ? "" : `\n${lines}`}`;
  if (lines !== "") return lines;
  return signal === null ? `ended with code ${code}` : `ended by ${signal}`;
}
