import { type NDArray, randomKey } from "@tsformers/engine";
import { type Tokenizer, tokenizerFromConfig } from "../tasks/tokenizer.ts";
import { type CheckpointProblem, checkpointStore } from "../train/checkpoint.ts";
import { restore } from "../train/run-directory.ts";
import type { RunConfig } from "./config.ts";
import { readRunConfig, runPaths } from "./folder.ts";
import { type AnyModel, makeModel } from "./model.ts";
import { readTaskRecord, type TaskRecord } from "./task-record.ts";

/** A run as it was last saved. Its data are not looked at. */
export type LoadedRun = {
  readonly directory: string;
  readonly config: RunConfig & { readonly length: number };
  readonly task: TaskRecord;
  /** Present where tokens stand for text. */
  readonly tokenizer?: Tokenizer;
  readonly model: AnyModel;
  /** The moving average where the run keeps one. */
  readonly params: unknown;
  readonly step: number;
  /** Newer checkpoints that were damaged. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Opens the newest whole checkpoint of a run's directory.
 *
 * @throws ConfigError when it is no run; Error when it has no checkpoint yet
 */
export async function loadRun(directory: string): Promise<LoadedRun> {
  const paths = runPaths(directory);
  const saved = readRunConfig(directory);
  const task = readTaskRecord(paths.task);
  const config = { ...saved, length: saved.length ?? task.length };
  const model = await makeModel(config, task.vocabularySize);
  const { checkpoint, problems } = await checkpointStore(paths.checkpoints).latest();
  if (checkpoint === undefined) {
    const damaged = problems.map(({ message }) => `\n  ${message}`).join("");
    throw new Error(
      `${directory}: no checkpoint${damaged === "" ? " yet" : ` that is whole${damaged}`}; train it first`,
    );
  }
  const name = config.ema > 0 ? "average" : "params";
  const tensors = new Map([...checkpoint.tensors].filter(([path]) => path.startsWith(`${name}.`)));
  const like = { [name]: model.init(randomKey(0)) as unknown };
  const { [name]: params } = restore(like, { ...checkpoint, tensors: tensors as ReadonlyMap<string, NDArray> });
  return {
    directory,
    config,
    task,
    ...(task.tokenizer !== undefined && { tokenizer: tokenizerFromConfig(task.tokenizer) }),
    model,
    params,
    step: checkpoint.step,
    problems,
  };
}
