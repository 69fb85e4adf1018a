import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { ortVersion } from "@tsformers/engine/node";
import * as z from "zod";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { FileError } from "../io/file-error.ts";
import { makeFolder } from "../io/make-folder.ts";
import { readJsonFile } from "../io/read-json.ts";
import { cacheFolder } from "../tasks/text/token-file.ts";
import { stepProgram, type Timer, tryMicroBatches, wallTime, worthTrying } from "../train/micro-batch-trial.ts";
import type { TrainOptions } from "../train/train.ts";
import { runPaths } from "./folder.ts";

/** Says into how many parts the batch of a new run is cut; undefined: as usual. */
export type ChooseMicroBatches = <Params, B>(options: TrainOptions<Params, B>) => Promise<number | undefined>;

export type MeasureOptions = {
  /** Folder of the results. Default: that of files that can be recreated. */
  readonly folder?: string;
  /** Default: milliseconds on the clock. */
  readonly timer?: Timer;
};

const schema = z.object({ microBatches: z.int().positive() });

/**
 * The cut of the batch that is fastest on this machine: tried on a few steps at first use, then read from a file, which is named for the
 * processor, the version of ONNX Runtime and the program of the step, and so for all its shapes. A folder that cannot be written only means
 * that the next run tries again.
 */
export function measuredMicroBatches({
  folder = cacheFolder(),
  timer = wallTime,
}: MeasureOptions = {}): ChooseMicroBatches {
  return async (options) => {
    if (!worthTrying(options)) return undefined;
    const path = join(folder, `micro-batches-${keyOf(stepProgram(options))}.json`);
    const before = readCached(path);
    if (before !== undefined && options.batchSize % before === 0) return before;
    const { microBatches, times } = await tryMicroBatches(options, timer);
    const said = [...times].map(([parts, time]) => `${parts}: ${time.toFixed(0)} ms`).join(", ");
    options.onEvent?.({
      kind: "note",
      text: `a batch is worked through in ${microBatches} parts; a step by the number of parts took ${said}`,
    });
    await keep(folder, path, { microBatches, times: Object.fromEntries(times) });
    return microBatches;
  };
}

/** The number of parts that a file of the cache records; undefined if it is missing or damaged. */
function readCached(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.microBatches;
  } catch {
    return undefined;
  }
}

function keyOf(program: string): string {
  const machine = [cpus()[0]?.model, process.arch, availableParallelism(), ortVersion];
  return createHash("sha256")
    .update(JSON.stringify([machine, program]))
    .digest("hex")
    .slice(0, 20);
}

async function keep(folder: string, path: string, found: object): Promise<void> {
  try {
    makeFolder(folder);
    await writeFileAtomic(path, `${JSON.stringify(found, null, 2)}\n`);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}

/** The cut that a run's folder records, if any. @throws FileError when the file is damaged: with another cut the run would not go on as it began */
export function recordedMicroBatches(directory: string): number | undefined {
  const path = runPaths(directory).microBatches;
  return existsSync(path) ? readJsonFile(path, schema).microBatches : undefined;
}

/** Records the cut of a new run; `undefined` removes what an earlier one left. */
export async function recordMicroBatches(directory: string, microBatches: number | undefined): Promise<void> {
  const path = runPaths(directory).microBatches;
  if (microBatches === undefined) await rm(path, { force: true });
  else await writeFileAtomic(path, `${JSON.stringify({ microBatches })}\n`);
}
