import { basename, dirname } from "node:path";
import { openDevice } from "@tsformers/engine/node";
import { endNow, onEndSignals } from "../../run/end-signals.ts";
import { errorText } from "../../run/error-text.ts";
import { present } from "../../schema/present.ts";
import { measureRun } from "./measure-run.ts";
import { measureSteps } from "./measure-steps.ts";
import { type ChildMessage, type ChildTask, reasonMark } from "./messages.ts";
import { openSharedText } from "./shared-text.ts";

// The program of a run's process: `compare-child TASK`, with a ChildTask as JSON. Ends with 0 when the result is written, with 130 when it was
// interrupted (and may be started again), with 1 and an error on stderr otherwise.
const { directory, work, threads, text } = JSON.parse(process.argv[2]!) as ChildTask;
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
  const device = await openDevice(work.job.config.device, present({ threads }));
  try {
    const shared = text === undefined ? undefined : await openSharedText(dirname(text), basename(text));
    const options = { device, signal: controller.signal, ...present({ text: shared }) };
    const isDone =
      work.kind === "train"
        ? await measureRun(directory, work, { ...options, listen, tell })
        : await measureSteps(directory, work, { ...options, tell });
    process.exitCode = isDone ? 0 : 130;
  } finally {
    await device.close();
  }
} catch (error) {
  process.stderr.write(`${reasonMark}${errorText(error)}\n`);
  process.exitCode = 1;
} finally {
  process.removeAllListeners("disconnect");
  if (process.connected) process.disconnect();
}
