#!/usr/bin/env node
import { exitCodes } from "./cli/exit.ts";
import { main, outlivesItsReader } from "./cli/main.ts";
import { endNow } from "./run/end-signals.ts";

const args = process.argv.slice(2);
// `… | head` closes the pipe. Who writes for a reader ends then; who works for a folder goes on.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (!outlivesItsReader(args)) process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failed);
});
// Nobody reads what is said beside the results: no reason to end.
process.stderr.on("error", () => {});

process.exitCode = await main(args);
// An interrupted command leaves the worker of a device alone with its last run.
if (process.exitCode === exitCodes.interrupted) setTimeout(endNow, 200).unref();
