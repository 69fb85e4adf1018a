import { convert, type NDArray, type Tree } from "@tsformers/engine";
import type { look } from "../../attention/view.ts";
import { readArrays, readJson } from "./checkpoint-files.ts";
import type { Architecture, Format } from "./format.ts";
import { formats } from "./formats.ts";
import { readNames } from "./names.ts";

export type Checkpoint = {
  readonly modelType: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly architecture: Architecture;
  readonly params: Tree<NDArray>;
};

/**
 * Reads a directory with `config.json` and `model.safetensors` (or its shards) as a model and its parameters.
 *
 * @throws Error when a file is missing or damaged, when the configuration asks for what is not supported, or when the
 *   arrays are not exactly those that the configuration calls for
 */
export async function loadHuggingFace(
  directory: string,
  options: { readonly look?: typeof look } = {},
): Promise<Checkpoint> {
  const config = await readJson(directory, "config.json");
  const { modelType, build } = formatOf(config);
  const arrays = await readArrays(directory);
  const architecture = build(config, { arrays, ...options });
  const params = readNames(architecture.names, settle(architecture, arrays), "model.safetensors");
  return { modelType, config: config as Record<string, unknown>, architecture, params };
}

function formatOf(config: unknown): Format {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new Error("config.json: expected a JSON object");
  }
  const { model_type: type, architectures } = config as { model_type?: unknown; architectures?: unknown };
  const format = formats.find(({ modelType }) => modelType === type);
  if (format === undefined) {
    const known = formats.map(({ modelType }) => modelType).join(", ");
    throw new Error(`config.json: model_type ${JSON.stringify(type)} is not supported; supported are ${known}`);
  }
  const named = Array.isArray(architectures) ? architectures : [];
  if (named.length > 0 && !named.some((name) => format.architectures.includes(name as string))) {
    throw new Error(
      `config.json: architecture ${JSON.stringify(named[0])} of ${format.modelType} is not supported; supported are ${format.architectures.join(", ")}`,
    );
  }
  return format;
}

/** The file's arrays without computed buffers and second copies of tied arrays, under the names of the full model. */
function settle(architecture: Architecture, arrays: ReadonlyMap<string, NDArray>): Map<string, NDArray> {
  const { names, ignored, tied = {} } = architecture;
  const known = new Set(names.map(({ theirs }) => theirs));
  const settled = new Map<string, NDArray>();
  for (const [name, array] of arrays) {
    const full = known.has(name) ? name : fullName(name, architecture, known);
    if (known.has(full)) {
      if (settled.has(full)) throw new Error(`model.safetensors: holds ${full} twice, under another name too`);
      settled.set(full, array);
    } else if (Object.hasOwn(tied, full)) checkEqual(name, array, tied[full]!, arrays.get(tied[full]!) ?? array);
    else if (ignored?.test(name) !== true) settled.set(name, array);
  }
  return settled;
}

function fullName(name: string, { prefix, renamed = {} }: Architecture, known: ReadonlySet<string>): string {
  if (prefix !== undefined && known.has(prefix + name)) return prefix + name;
  for (const [theirs, of] of Object.entries(renamed)) {
    if (name === theirs || name.endsWith(`.${theirs}`)) return name.slice(0, name.length - theirs.length) + of;
  }
  return name;
}

function checkEqual(name: string, array: NDArray, original: string, other: NDArray): void {
  const [a, b] = [convert(array, "float32").data, convert(other, "float32").data];
  if (a.length !== b.length || a.some((value, i) => value !== b[i])) {
    throw new Error(`model.safetensors: the configuration ties ${name} to ${original}, but the two differ`);
  }
}
