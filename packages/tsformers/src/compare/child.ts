import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { endNow, onEndSignals } from "../run/end-signals.ts";
import { errorText } from "../run/error-text.ts";
import { present } from "../schema/present.ts";
import { measureRun } from "./measure-run.ts";
import { measureSteps } from "./measure-steps.ts";
import { type ChildMessage, type ChildWork, jobFile } from "./messages.ts";
import type { RunJob } from "./plan.ts";
import { openSharedText } from "./shared-text.ts";

// The program of a run's process: `compare-child DIR train|steps [TEXT]`, with the job in DIR/job.json and, where the parent has read a
// text, that in TEXT. Ends with 0 when the result is written, with 130 when it was interrupted (and may be started again), with 1 and
// an error on stderr otherwise.
const [directory, work, text] = process.argv.slice(2) as [string, ChildWork, string?];
const controller = new AbortController();
let listening: ReturnType<typeof onEndSignals> | undefined;
const listen = () => {
  listening ??= onEndSignals(() => controller.abort());
};
// The parent is gone, however it ended: after its first signal, that is the second.
process.on("disconnect", () => (listening === undefined ? endNow() : listening.signalled()));

const tell = (message: ChildMessage): void => {
  // A message to a parent that has just gone is lost, which is all right; without a callback it would be an exception.
  if (process.connected) process.send!(message, () => {});
};

try {
  const job = JSON.parse(readFileSync(join(directory, jobFile), "utf8")) as RunJob;
  const shared = text === undefined ? undefined : await openSharedText(dirname(text), basename(text));
  const options = { signal: controller.signal, ...present({ text: shared }) };
  const isDone =
    work === "train"
      ? await measureRun(directory, job, { ...options, listen, tell })
      : await measureSteps(directory, job, options);
  process.exitCode = isDone ? 0 : 130;
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
} finally {
  process.removeAllListeners("disconnect");
  if (process.connected) process.disconnect();
}
