import { type Concrete, type RandomKey, randomKey } from "@tsformers/engine";
import { type CheckpointProblem, checkpointStore } from "../train/checkpoint.ts";
import { type Identity, requireSameRun, restore } from "../train/run-directory.ts";
import { runPaths } from "./folder.ts";

/** What a run last saved of a model's parameters. */
export type SavedParams<Params> = {
  /** The moving average where the run keeps one. */
  readonly params: Concrete<Params>;
  /** Updates made. */
  readonly step: number;
  /** Newer checkpoints that were damaged. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Parameters from the newest whole checkpoint of a directory that `train` has written, for a model of the program's own.
 *
 * @param identity what the checkpoint must say of its run. Default: anything
 * @throws Error when there is no whole checkpoint, or it is that of another run or of a model with other parameters
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
