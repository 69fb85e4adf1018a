import type { Device } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { type Command, Option } from "commander";
import { type OpenedModel, openModel } from "../run/open-model.ts";
import type { Reading } from "../run/prepare.ts";
import { type EvaluationChoice, prepareEvaluation } from "../run/prepare-evaluation.ts";
import { withAbsolutePaths } from "../run/train-run.ts";
import { rowCount } from "../schema/count.ts";
import type { Task } from "../tasks/task.ts";
import { addFlags, configFrom, givenFlags, isGiven, parseCount, runFlags, tokenFlags } from "./config-flags.ts";
import { interruption, UsageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** The flags that say what a model is measured on. */
export type TaskFlags = { readonly otherData?: true; readonly config?: never; readonly [flag: string]: unknown };

/** The flags of commands that read data with a trained model. */
export type ReadingFlags = TaskFlags & {
  readonly batchSize?: number;
  readonly device?: "cpu" | "webgpu" | "cuda";
  readonly json?: true;
};

const taskFlags = runFlags.filter(({ path }) => path[0] === "task");

export function addReadingFlags(command: Command): Command {
  command
    .option("--batch-size <n>", "rows that are read at a time; default: the run's, or 8", parseCount(1, rowCount()))
    .option("--other-data", "read data that the run was not made with, such as --data another.txt")
    .addOption(
      new Option("--device <name>", "where it runs; default: as in training, or cpu").choices([
        "cpu",
        "webgpu",
        "cuda",
      ]),
    )
    .option("--json", "print JSON");
  return addFlags(command, taskFlags);
}

/** A trained model and the data that it is to read. */
export type OpenedReading = Reading & {
  readonly opened: OpenedModel;
  readonly task: Task;
  readonly device: Device;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  readonly batchSize: number;
  /** Tokens of a row: the training length. A checkpoint has none: as the task has them, as far as it has positions. */
  readonly length: number;
};

/** Opens a run or checkpoint and what flags say that it reads, lets `work` have them, and closes the device. */
export async function withReading<T>(
  terminal: Terminal,
  directory: string,
  options: ReadingFlags,
  work: (reading: OpenedReading) => Promise<T>,
): Promise<T> {
  const opened = await openModel(directory);
  for (const note of opened.notes) terminal.log(note);
  const prepared = await prepareEvaluation(opened, chosenTask(opened, options));
  const { config } = opened.run ?? {};
  const { signal, release } = interruption();
  const device = await openDevice(options.device ?? config?.device ?? "cpu", { worker: true });
  const batchSize = options.batchSize ?? config?.batchSize ?? 8;
  const length = config?.length ?? Math.min(prepared.task.length, opened.length);
  try {
    return await work({ ...prepared, opened, device, signal, batchSize, length });
  } finally {
    release();
    if (!signal.aborted) await device.close();
  }
}

/** The task that flags name, on top of the run's own. */
export function chosenTask({ run, tokenizer }: OpenedModel, options: TaskFlags): EvaluationChoice {
  const given = givenFlags(options, taskFlags);
  const idle = tokenFlags.find((name) => isGiven(given, name));
  if (tokenizer !== undefined && idle !== undefined)
    throw new UsageError(`--${idle} does nothing here: texts are read with the model's own tokenizer`);
  const config = withAbsolutePaths(configFrom(options, run?.config ?? {}, taskFlags));
  if (run === undefined && given.size === 0)
    throw new UsageError(
      "a checkpoint has no task of its own; say what to measure it on, such as --task text --data FILE",
    );
  return { config, otherData: options.otherData === true };
}
