import type { CheckpointProblem } from "../train/checkpoint.ts";
import { isExportedRun, readExportedParams } from "./exported-params.ts";
import { modelIdentity, type RunFolder, readRunFolder } from "./folder.ts";
import { type AnyModel, asTrained, makeModel } from "./model.ts";
import { readParams } from "./read-params.ts";

/** A run as it was last saved. Its data are not read. */
export type LoadedRun = RunFolder & {
  readonly directory: string;
  readonly model: AnyModel;
  /** Parameters: the moving average if the run keeps one. */
  readonly params: unknown;
  readonly step: number;
  /** Newer checkpoints, which are damaged. */
  readonly problems: readonly CheckpointProblem[];
};

/**
 * Opens the newest undamaged checkpoint of a run's directory, or an export of a run under our own names.
 *
 * @throws ConfigError when it is not a run; Error when it has no checkpoint yet, or that of another run
 */
export async function loadRun(directory: string): Promise<LoadedRun> {
  const folder = await readRunFolder(directory);
  const { config, task } = folder;
  const made = await makeModel(config, task.vocabularySize);
  const model = asTrained(made, config.objective?.kind, task);
  if (isExportedRun(directory))
    return { ...folder, directory, model, ...(await readExportedParams<unknown>(directory, model)) };
  const { seed, batchSize, length } = config;
  const identity = { task: task.fingerprint, seed, batchSize, length, configuration: modelIdentity(config) };
  return { ...folder, directory, model, ...(await readParams<unknown>(directory, model, identity)) };
}
