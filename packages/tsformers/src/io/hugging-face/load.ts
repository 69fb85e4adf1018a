import { join } from "node:path";
import type { NDArray, StoredTensor, Tree } from "@tsformers/engine";
import type { look } from "../../attention/view.ts";
import { FileError, jsonObject, readJsonFile } from "../read-json.ts";
import { openArrays, requireCheckpointFolder, weightsFile } from "./checkpoint-files.ts";
import type { Architecture, Format } from "./format.ts";
import { formats } from "./formats.ts";
import { loadNames } from "./names.ts";
import { dropSharedNames, settleNames } from "./settle.ts";

/** The settings of a checkpoint's `config.json`, as they are in the file. */
export type CheckpointConfig = Readonly<Record<string, unknown>>;

export type Checkpoint = {
  readonly modelType: string;
  readonly config: CheckpointConfig;
  readonly architecture: Architecture;
  readonly params: Tree<NDArray>;
  /** What its user should hear, such as an output that is not tied though the configuration says so. */
  readonly notes: readonly string[];
};

/**
 * Reads a directory with `config.json` and `model.safetensors` (or its shards) as a model and its parameters. Files may be
 * of any size: arrays are read one by one, and floats of any width become float32.
 *
 * @throws FileError when a file is missing, or the folder is no checkpoint; SafetensorsError when one is damaged; Error when
 *   the configuration asks for what is not supported, or the arrays are not exactly those that it calls for
 */
export async function loadHuggingFace(
  directory: string,
  options: { readonly look?: typeof look } = {},
): Promise<Checkpoint> {
  requireCheckpointFolder(directory);
  const path = join(directory, "config.json");
  const config = readJsonFile(path, jsonObject);
  const format = formatOf(config, path);
  const { tensors, close } = await openArrays(directory);
  try {
    return { modelType: format.modelType, config, ...(await place(format, config, tensors, options)) };
  } finally {
    await close();
  }
}

async function place(
  format: Format,
  config: CheckpointConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  options: { readonly look?: typeof look },
): Promise<Pick<Checkpoint, "architecture" | "params" | "notes">> {
  const { arrays, ownHead, notes } = await settleNames(format, tensors, weightsFile);
  const build = (own: boolean) => format.build(config, { ...options, has: (name) => arrays.has(name), ownHead: own });
  const architecture = build(ownHead);
  const known = new Set(architecture.names.map(({ theirs }) => theirs));
  const params = await loadNames(architecture.names, dropSharedNames(format, arrays, known), weightsFile);
  // A configuration that does not tie them expects the two to differ.
  const expected = ownHead && (config.tie_word_embeddings === false || build(false).names.length === known.size);
  return { architecture, params, notes: expected ? [] : notes };
}

function formatOf(config: CheckpointConfig, path: string): Format {
  const { model_type: type, architectures } = config;
  const format = formats.find(({ modelType }) => modelType === type);
  if (format === undefined) {
    const known = formats.map(({ modelType }) => modelType).join(", ");
    const found = type === undefined ? "model_type is missing" : `model_type ${JSON.stringify(type)} is not supported`;
    throw new FileError(path, `${found}; supported are ${known}`);
  }
  const named = Array.isArray(architectures) ? architectures : [];
  if (
    named.length > 0 &&
    format.architectures.length > 0 &&
    !named.some((name) => format.architectures.includes(name as string))
  ) {
    throw new FileError(
      path,
      `architecture ${JSON.stringify(named[0])} of ${format.modelType} is not supported; supported are ${format.architectures.join(", ")}`,
    );
  }
  return format;
}
