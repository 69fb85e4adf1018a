import { FileError } from "../file-error.ts";
import type { Architecture, Format } from "./format.ts";
import { formats } from "./formats.ts";

/** The settings of a checkpoint's `config.json`, as stored. */
export type CheckpointConfig = Readonly<Record<string, unknown>>;

/**
 * The format (family of checkpoints) that settings belong to.
 *
 * @param path where they come from, for messages
 * @throws FileError when the family is not supported
 */
export function formatOf(config: CheckpointConfig, path: string): Format {
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

/** The architecture of the settings that a run keeps. */
export function architectureOf({ settings, ownHead }: { settings: CheckpointConfig; ownHead: boolean }): Architecture {
  return formatOf(settings, "model.settings").build(settings, { has: () => false, ownHead });
}
