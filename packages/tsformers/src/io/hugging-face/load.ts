import { join } from "node:path";
import type { NDArray, StoredTensor, Tree } from "@tsformers/engine";
import type { makeView } from "../../attention/core/view.ts";
import { FileError } from "../file-error.ts";
import { jsonObject, readJsonFile } from "../read-json.ts";
import { type CheckpointConfig, formatOf } from "./architecture.ts";
import { openArrays, requireCheckpointFolder, weightsFile } from "./checkpoint-files.ts";
import { configFile } from "./config.ts";
import type { Architecture, Format } from "./format.ts";
import { loadNames } from "./names.ts";
import { dropSharedNames, settleNames } from "./settle.ts";

export type LoadedCheckpoint = {
  readonly modelType: string;
  readonly config: CheckpointConfig;
  readonly architecture: Architecture;
  /** Whether the output has a separate matrix, whatever the configuration says. */
  readonly ownHead: boolean;
  readonly params: Tree<NDArray>;
  /** Notes for the user, for example that the output is not tied although the configuration says so. */
  readonly notes: readonly string[];
};

/**
 * Reads a directory with `config.json` and `model.safetensors` (or its shards) as a model and its parameters. Files may be
 * of any size: arrays are read one by one, and floats of any width become float32.
 *
 * @throws FileError when a file is missing, or the folder is not a checkpoint; SafetensorsError when a file is damaged; Error when
 *   the configuration asks for something unsupported, or the arrays do not match it exactly
 */
export async function loadHuggingFace(
  directory: string,
  options: { readonly makeView?: typeof makeView } = {},
): Promise<LoadedCheckpoint> {
  requireCheckpointFolder(directory);
  const path = join(directory, "config.json");
  const config = readJsonFile(path, jsonObject);
  const format = formatOf(config, path);
  const { tensors, close } = await openArrays(directory);
  try {
    return { modelType: format.modelType, config, ...(await place(format, config, tensors, options)) };
  } catch (error) {
    throw error instanceof FileError && error.path === configFile ? new FileError(path, error.problem) : error;
  } finally {
    await close();
  }
}

async function place(
  format: Format,
  config: CheckpointConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  options: { readonly makeView?: typeof makeView },
): Promise<Pick<LoadedCheckpoint, "architecture" | "ownHead" | "params" | "notes">> {
  const { arrays, ownHead, notes } = await settleNames(format, tensors, weightsFile);
  const build = (own: boolean) => format.build(config, { ...options, has: (name) => arrays.has(name), ownHead: own });
  const architecture = build(ownHead);
  const known = new Set(architecture.names.map(({ theirs }) => theirs));
  const params = await loadNames(architecture.names, dropSharedNames(format, arrays, known), weightsFile);
  // A configuration that does not tie them implies that they differ: no note is needed.
  const expected = ownHead && (config.tie_word_embeddings === false || build(false).names.length === known.size);
  return { architecture, ownHead, params, notes: expected ? [] : notes };
}
