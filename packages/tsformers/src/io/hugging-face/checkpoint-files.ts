import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { decodeSafetensors, type NDArray } from "@tsformers/engine";

/** The arrays of a directory's `model.safetensors`, or of all files that `model.safetensors.index.json` names. */
export async function readArrays(directory: string): Promise<Map<string, NDArray>> {
  const whole = await bytesOf(join(directory, "model.safetensors"));
  if (whole !== undefined) return decodeSafetensors(whole, "model.safetensors").tensors;
  const index = await bytesOf(join(directory, "model.safetensors.index.json"));
  if (index === undefined) {
    throw new Error(`${directory}: expected model.safetensors or model.safetensors.index.json, found neither`);
  }
  const files = shardNames(parseJson(index, "model.safetensors.index.json"));
  const arrays = new Map<string, NDArray>();
  for (const file of new Set(files.values())) {
    const bytes = await bytesOf(join(directory, file));
    if (bytes === undefined)
      throw new Error(`${directory}: model.safetensors.index.json names ${file}, which is not there`);
    for (const [name, array] of decodeSafetensors(bytes, file).tensors) {
      if (files.get(name) !== file) throw new Error(`${file}: holds ${name}, which the index does not place there`);
      arrays.set(name, array);
    }
  }
  const absent = [...files.keys()].filter((name) => !arrays.has(name));
  if (absent.length > 0)
    throw new Error(`model.safetensors.index.json: ${absent.slice(0, 5).join(", ")} are not in the files it names`);
  return arrays;
}

/** A JSON file of a directory. @throws Error when it is missing or no JSON */
export async function readJson(directory: string, name: string): Promise<unknown> {
  const bytes = await bytesOf(join(directory, name));
  if (bytes === undefined) throw new Error(`${directory}: expected a file ${name}, found none`);
  return parseJson(bytes, name);
}

/** The bytes of a file, or undefined where there is none. */
export async function bytesOf(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Error(`${name}: expected JSON, ${error instanceof Error ? error.message : String(error)}`);
  }
}

function shardNames(index: unknown): Map<string, string> {
  const map = typeof index === "object" && index !== null ? (index as { weight_map?: unknown }).weight_map : undefined;
  if (typeof map !== "object" || map === null)
    throw new Error('model.safetensors.index.json: expected an object "weight_map"');
  const entries = Object.entries(map).map(([name, file]) => {
    if (typeof file !== "string" || file !== basename(file) || !file.endsWith(".safetensors")) {
      throw new Error(
        `model.safetensors.index.json: expected the name of a .safetensors file for ${name}, found ${JSON.stringify(file)}`,
      );
    }
    return [name, file] as const;
  });
  return new Map(entries);
}
