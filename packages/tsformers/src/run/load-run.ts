import type { NDArray } from "@tsformers/engine";
import { randomKey } from "@tsformers/engine";
import { type CheckpointProblem, checkpointStore } from "../train/checkpoint.ts";
import { restore } from "../train/run-directory.ts";
import { readRunConfig, runPaths } from "./folder.ts";
import { type PreparedRun, prepareRun } from "./prepare.ts";

/** A run as it was last saved. */
export type LoadedRun = {
  readonly run: PreparedRun;
  readonly step: number;
  /** The moving average where the run keeps one. */
  readonly params: unknown;
  /** Newer checkpoints that were damaged. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Opens the newest whole checkpoint of a run's directory.
 *
 * @throws ConfigError when it is no run; Error when it has no checkpoint yet
 */
export async function loadRun(directory: string): Promise<LoadedRun> {
  const run = await prepareRun(readRunConfig(directory));
  const { checkpoint, problems } = await checkpointStore(runPaths(directory).checkpoints).latest();
  if (checkpoint === undefined) {
    const damaged = problems.map(({ message }) => `\n  ${message}`).join("");
    throw new Error(
      `${directory}: no checkpoint${damaged === "" ? " yet" : ` that is whole${damaged}`}; train it first`,
    );
  }
  const name = run.config.ema > 0 ? "average" : "params";
  const tensors = new Map([...checkpoint.tensors].filter(([path]) => path.startsWith(`${name}.`)));
  const like = { [name]: run.trainee.init(randomKey(0)) as unknown };
  const { [name]: params } = restore(like, { ...checkpoint, tensors: tensors as ReadonlyMap<string, NDArray> });
  return { run, step: checkpoint.step, params, problems };
}
