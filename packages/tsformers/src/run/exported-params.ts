import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Concrete, type RandomKey, randomKey } from "@tsformers/engine";
import { FileError } from "../io/file-error.ts";
import { weightsFile } from "../io/hugging-face/checkpoint-files.ts";
import { openSafetensorsFile, readTensors } from "../io/safetensors-file.ts";
import type { Checkpoint } from "../train/checkpoint.ts";
import { restore } from "../train/run-directory.ts";
import { runPaths } from "./folder.ts";
import type { SavedParams } from "./read-params.ts";

/** Whether a run's folder is an export: its weights are in one file instead of checkpoints. */
export function isExportedRun(directory: string): boolean {
  return !existsSync(runPaths(directory).checkpoints) && existsSync(join(directory, weightsFile));
}

/**
 * Reads the parameters of an exported run.
 *
 * @throws FileError or SafetensorsError when the file is damaged; Error when it belongs to another model
 */
export async function readExportedParams<Params>(
  directory: string,
  model: { init(key: RandomKey): Concrete<Params> },
): Promise<SavedParams<Params>> {
  const path = join(directory, weightsFile);
  const file = await openSafetensorsFile(path);
  try {
    const step = Number(file.metadata.step ?? 0);
    const checkpoint = { tensors: await readTensors(file), step, state: null };
    return { params: matched(path, model.init(randomKey(0)), checkpoint), step, problems: [] };
  } finally {
    await file.close();
  }
}

function matched<Params>(path: string, like: Params, checkpoint: Checkpoint): Params {
  try {
    return restore(like, checkpoint);
  } catch (error) {
    throw new FileError(path, `is not of the model that config.json describes; ${(error as Error).message}`);
  }
}
