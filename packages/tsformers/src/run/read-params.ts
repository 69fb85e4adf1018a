import { type Concrete, type RandomKey, randomKey } from "@tsformers/engine";
import { type CheckpointProblem, checkpointStore } from "../train/checkpoint.ts";
import { type Identity, requireSameRun, restore } from "../train/run-directory.ts";
import { runPaths } from "./folder.ts";

/** Parameters as a run last saved them. */
export type SavedParams<Params> = {
  /** The moving average if the run keeps one. */
  readonly params: Concrete<Params>;
  /** Number of updates made. */
  readonly step: number;
  /** Newer checkpoints, which are damaged. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Reads parameters from the newest undamaged checkpoint in a directory written by `train`, for a model defined in a program.
 *
 * @param identity what the checkpoint must have as its run's identity. Default: anything
 * @throws Error when there is no undamaged checkpoint, or it belongs to another run or to a model with other parameters
 */
export async function readParams<Params>(
  directory: string,
  model: { init(key: RandomKey): Concrete<Params> },
  identity: Identity = {},
): Promise<SavedParams<Params>> {
  const { checkpoint, problems } = await checkpointStore(runPaths(directory).checkpoints).latest();
  if (checkpoint === undefined) {
    const damaged = problems.map(({ message }) => `\n  ${message}`).join("");
    throw new Error(
      `${directory}: no checkpoint${damaged === "" ? " yet" : ` that is whole${damaged}`}; train it first`,
    );
  }
  requireSameRun(directory, identity, checkpoint);
  const named = (name: string) => [...checkpoint.tensors].filter(([path]) => path.startsWith(`${name}.`));
  const name = named("average").length > 0 ? "average" : "params";
  const { [name]: params } = restore(
    { [name]: model.init(randomKey(0)) },
    { ...checkpoint, tensors: new Map(named(name)) },
  );
  return { params: params as Concrete<Params>, step: checkpoint.step, problems };
}
