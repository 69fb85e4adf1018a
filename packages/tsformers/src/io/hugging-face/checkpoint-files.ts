import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { StoredTensor } from "@tsformers/engine";
import * as z from "zod";
import { FileError } from "../file-error.ts";
import { readJsonFile } from "../read-json.ts";
import { type OpenSafetensors, openSafetensorsFile } from "../safetensors-file.ts";

/** The arrays of an open checkpoint, read one by one. */
export type CheckpointArrays = { readonly tensors: ReadonlyMap<string, StoredTensor>; close(): Promise<void> };

/** The file of weights of a checkpoint that has only one. */
export const weightsFile = "model.safetensors";

/** The file that says which of several files holds each array. */
const indexFile = "model.safetensors.index.json";

const indexSchema = z.looseObject({
  weight_map: z.record(
    z.string(),
    z.string().refine((file) => file === basename(file) && file.endsWith(".safetensors"), {
      error: ({ input }) => `expected the name of a .safetensors file, found ${JSON.stringify(input)}`,
    }),
  ),
});

/**
 * The arrays of a directory's `model.safetensors`, or of all files that `model.safetensors.index.json` names.
 *
 * @throws FileError saying what the directory has and what was expected; SafetensorsError when a file is damaged
 */
export async function openArrays(directory: string): Promise<CheckpointArrays> {
  if (existsSync(join(directory, weightsFile))) return openSafetensorsFile(join(directory, weightsFile));
  const index = join(directory, indexFile);
  if (!existsSync(index)) throw new FileError(directory, missingWeights(directory));
  const { weight_map: fileOf } = readJsonFile(index, indexSchema);
  const files = [...new Set(Object.values(fileOf))];
  const absent = files.filter((file) => !existsSync(join(directory, file)));
  if (absent.length > 0) throw new FileError(directory, `${listed(absent)} missing: a download that stopped`);
  return openShards(directory, index, new Map(Object.entries(fileOf)), files);
}

async function openShards(
  directory: string,
  index: string,
  fileOf: ReadonlyMap<string, string>,
  files: readonly string[],
): Promise<CheckpointArrays> {
  const opened: OpenSafetensors[] = [];
  const close = async () => {
    for (const shard of opened) await shard.close();
  };
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const file of files) {
      const path = join(directory, file);
      const shard = await openSafetensorsFile(path);
      opened.push(shard);
      for (const [name, tensor] of shard.tensors) {
        if (fileOf.get(name) !== file)
          throw new FileError(path, `holds ${name}, which ${indexFile} does not place there`);
        tensors.set(name, tensor);
      }
    }
    const lost = [...fileOf.keys()].filter((name) => !tensors.has(name));
    if (lost.length > 0) throw new FileError(index, `${listed(lost)} not in the files it names`);
    return { tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws FileError when the path is not a folder with a `config.json` */
export function requireCheckpointFolder(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined) throw new FileError(directory, "no such folder");
  const expected = "the folder of a run (`tsformers train` makes runs) or of a Hugging Face checkpoint";
  if (!found.isDirectory()) throw new FileError(directory, `is a file; expected ${expected}`);
  if (existsSync(join(directory, "config.json"))) return;
  throw new FileError(directory, `config.json is missing (${contents(directory)}); expected ${expected}`);
}

function contents(directory: string): string {
  const names = readdirSync(directory).sort();
  if (names.length === 0) return "it is empty";
  return `it has ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`;
}

function missingWeights(directory: string): string {
  const names = readdirSync(directory);
  const shard = names.find((name) => /^model-\d+-of-\d+\.safetensors$/.test(name));
  if (shard !== undefined) return `has ${shard} without ${indexFile}: a download that stopped`;
  const expected = `expected ${weightsFile}, or ${indexFile} with the files it names`;
  if (names.includes("adapter_model.safetensors"))
    return `has the weights of an adapter only; ${expected}. Merge the adapter into its base model first`;
  const other = names.find((name) => foreignWeights.test(name));
  if (other === undefined) return `has no weights (${contents(directory)}); ${expected}`;
  return `has its weights as ${other} only; ${expected}. Convert it with transformers: AutoModel….from_pretrained(folder).save_pretrained(new_folder)`;
}

/** Weights in the formats of other libraries. PyTorch's may run code when opened. */
const foreignWeights = /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|onnx)$|\.bin\.index\.json$/;

function listed(names: readonly string[]): string {
  const more = names.length > 5 ? `, and ${names.length - 5} more` : "";
  return `${names.slice(0, 5).join(", ")}${more} ${names.length === 1 ? "is" : "are"}`;
}
