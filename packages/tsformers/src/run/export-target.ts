import { closeSync, type Dirent, existsSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { weightsFile } from "../io/hugging-face/checkpoint-files.ts";
import { tokenizerFiles } from "../io/hugging-face/companions.ts";
import { openSafetensorsFile } from "../io/safetensors-file.ts";
import { isRunFolder, runPaths } from "./folder.ts";

/** An export would replace something that is not an export. */
export class ExportTargetError extends Error {
  override readonly name = "ExportTargetError";
}

/** Metadata key that marks a safetensors file exported by tsformers. */
export const exportMark = "tsformers";

/**
 * Makes sure that an export may be written at a path: the path is free, or holds an earlier export, which is replaced completely; and
 * it is not part of a run or of what is exported.
 *
 * @param source the folder that is exported
 * @throws ExportTargetError saying what is there
 */
export async function requireExportTarget(path: string, kind: "file" | "folder", source: string): Promise<void> {
  const [target, from] = [realPath(path), realPath(source)];
  if (target === from || from.startsWith(target + sep))
    throw new ExportTargetError(`${path}: holds what is exported; choose another --out`);
  const run = enclosingRun(target);
  if (run !== undefined && ownNames(run).has(relative(run, target).split(sep)[0]!))
    throw new ExportTargetError(`${path}: belongs to the run ${run}; choose another --out`);
  const found = statSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (kind === "file") requireOldModel(path, target, found.isFile());
  else await requireOldFolder(path, target, found.isDirectory());
}

function requireOldModel(path: string, target: string, isFile: boolean): void {
  if (!isFile) throw new ExportTargetError(`${path}: is a folder; --out expects a file for an ONNX model`);
  if (!isOldModel(target))
    throw new ExportTargetError(`${path}: is a file that tsformers did not export; choose another --out`);
}

async function requireOldFolder(path: string, target: string, isFolder: boolean): Promise<void> {
  if (!isFolder) throw new ExportTargetError(`${path}: is a file; --out expects a folder for safetensors`);
  const entries = readdirSync(target, { withFileTypes: true });
  if (entries.length === 0) return;
  const foreign = entries.find((entry) => !isExported(entry));
  if (foreign !== undefined)
    throw new ExportTargetError(`${path}: holds ${foreign.name}, which is no part of an export; choose another --out`);
  if (!(await isOldFolder(target)))
    throw new ExportTargetError(`${path}: holds weights that tsformers did not export; choose another --out`);
}

/** Files of a checkpoint's tokenizer and settings, besides its configuration and weights. */
export const companionFiles: readonly string[] = [
  ...Object.values(tokenizerFiles),
  "generation_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "spiece.model",
  "tokenizer.model",
  "chat_template.jinja",
];

/** The file in which an export in Hugging Face's layout stores one of our tokenizers. */
export const ownTokenizerFile = "tsformers-tokenizer.json";

const exportedNames = new Set(["config.json", "task.json", weightsFile, ownTokenizerFile, ...companionFiles]);

function isExported(entry: Dirent): boolean {
  return entry.isFile() && exportedNames.has(entry.name);
}

async function isOldFolder(folder: string): Promise<boolean> {
  const path = join(folder, weightsFile);
  if (!existsSync(path)) return false;
  const { metadata, close } = await openSafetensorsFile(path);
  await close();
  return Object.hasOwn(metadata, exportMark);
}

/** Whether a file is an ONNX model of an earlier version: it begins with its version and producer. */
function isOldModel(path: string): boolean {
  const start = new Uint8Array(64);
  const file = openSync(path, "r");
  try {
    readSync(file, start);
  } finally {
    closeSync(file);
  }
  return start[0] === 0x08 && new TextDecoder("latin1").decode(start).includes(exportMark);
}

/** The path itself, or the nearest folder above it, that is a run. An export with our names is not a run. */
function enclosingRun(path: string): string | undefined {
  if (isRunFolder(path) && !existsSync(join(path, weightsFile))) return path;
  return dirname(path) === path ? undefined : enclosingRun(dirname(path));
}

/** Names of the files that a run's folder holds, and the folder itself. */
function ownNames(run: string): ReadonlySet<string> {
  return new Set(["", ...Object.values(runPaths(run)).map((path) => basename(path))]);
}

/** The path with links resolved, even if the path itself does not exist yet. */
function realPath(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  return dirname(whole) === whole ? whole : join(realPath(dirname(whole)), basename(whole));
}
