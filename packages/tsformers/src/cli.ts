#!/usr/bin/env node
import { exitCodes } from "./cli/exit.ts";
import { main, outlivesItsReader } from "./cli/main.ts";
import { fileError } from "./io/file-error.ts";
import { endNow } from "./run/end-signals.ts";

const args = process.argv.slice(2);
// `… | head` closes the pipe. Who writes for a reader ends then; who works for a folder goes on.
let isLost = false;
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  const isClosed = error.code === "EPIPE";
  if (!isClosed && !isLost) process.stderr.write(`error: ${fileError("standard output", error).message}\n`);
  isLost ||= !isClosed;
  if (!outlivesItsReader(args)) process.exit(isClosed ? exitCodes.done : exitCodes.failed);
  if (isLost) process.exitCode ||= exitCodes.failed;
});
// Nobody reads what is said beside the results: no reason to end.
process.stderr.on("error", () => {});

process.exitCode = (await main(args)) || (isLost ? exitCodes.failed : exitCodes.done);
// An interrupted command leaves the worker of a device alone with its last run.
if (process.exitCode === exitCodes.interrupted) setTimeout(endNow, 200).unref();
