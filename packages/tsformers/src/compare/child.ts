import { readFileSync } from "node:fs";
import { join } from "node:path";
import { endNow, onEndSignals } from "../run/end-signals.ts";
import { errorText } from "../run/error-text.ts";
import { measureRun } from "./measure-run.ts";
import { type ChildMessage, jobFile } from "./messages.ts";
import type { RunJob } from "./plan.ts";

// The program of a run's process: `compare-child DIR`, with the job in DIR/job.json. It exits with 0 after writing the result, with
// 130 when interrupted (it may be started again), otherwise with 1 and an error on stderr.
const directory = process.argv[2]!;
const controller = new AbortController();
let listening: ReturnType<typeof onEndSignals> | undefined;
const listen = () => {
  listening ??= onEndSignals(() => controller.abort());
};
// The parent has ended. If a signal arrived before, this counts as the second one.
process.on("disconnect", () => (listening === undefined ? endNow() : listening.signalled()));

const tell = (message: ChildMessage): void => {
  // A message to a parent that has just ended may be lost; without the callback it would be an exception.
  if (process.connected) process.send!(message, () => {});
};

try {
  const job = JSON.parse(readFileSync(join(directory, jobFile), "utf8")) as RunJob;
  process.exitCode = (await measureRun(directory, job, { signal: controller.signal, listen, tell })) ? 0 : 130;
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
} finally {
  process.removeAllListeners("disconnect");
  if (process.connected) process.disconnect();
}
