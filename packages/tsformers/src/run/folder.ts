import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { makeFolder } from "../io/make-folder.ts";
import { jsonObject, readJsonFile } from "../io/read-json.ts";
import { type Tokenizer, tokenizerFromConfig } from "../tokenizers/index.ts";
import type { JsonValue } from "../train/checkpoint.ts";
import { canonicalJson } from "./canonical-json.ts";
import { parseRunConfig, type RunConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { readTaskRecord, type TaskRecord } from "./task-record.ts";

/** Paths of the parts of a run. */
export type RunPaths = {
  /** The complete settings. */
  readonly config: string;
  /** The record of its task: {@link TaskRecord}. */
  readonly task: string;
  readonly checkpoints: string;
  readonly metrics: string;
  readonly lock: string;
  /** Into how many parts a batch is cut, where that was measured. */
  readonly microBatches: string;
};

export function runPaths(directory: string): RunPaths {
  const at = (name: string) => join(directory, name);
  return {
    config: at("config.json"),
    task: at("task.json"),
    checkpoints: at("checkpoints"),
    metrics: at("metrics.jsonl"),
    lock: at("run.lock"),
    microBatches: at("micro-batches.json"),
  };
}

/** Whether a directory holds a run, and not a checkpoint for other programs. */
export function isRunFolder(directory: string): boolean {
  const { task, checkpoints } = runPaths(directory);
  return existsSync(task) || existsSync(checkpoints);
}

/**
 * Reads the configuration that a run's directory was started with.
 *
 * @throws ConfigError when there is none, or this version does not understand it
 */
export function readRunConfig(directory: string): RunConfig {
  const path = runPaths(directory).config;
  if (!existsSync(directory)) throw new ConfigError(`${directory}: no such folder`);
  if (!existsSync(path) || !isRunFolder(directory))
    throw new ConfigError(`${directory}: not a run; ${whatItIs(directory)}`);
  const saved = readJsonFile(path, jsonObject);
  const config = parseRunConfig(saved, path);
  const missing = Object.keys(config).find((name) => !(name in saved));
  if (missing !== undefined) throw new ConfigError(`${path}: is not complete: ${missing} is missing`);
  return config;
}

function whatItIs(directory: string): string {
  const { config, checkpoints } = runPaths(directory);
  if (existsSync(config))
    return `its config.json is no run's. \`tsformers train --from ${directory}\` starts from a checkpoint`;
  return existsSync(checkpoints)
    ? "its checkpoints were written by `train` of the library, with a model of the program's own: `readParams` reads them there. Runs that commands open are made by `trainRun` and `tsformers train`"
    : "it has no config.json. `tsformers train` makes runs";
}

/** The contents of a run's folder without its checkpoints. */
export type RunFolder = {
  readonly config: RunConfig & { readonly length: number };
  readonly task: TaskRecord;
  /** Present if tokens represent text. */
  readonly tokenizer?: Tokenizer;
};

/** @throws ConfigError when it is not a run; FileError when one of its files is damaged */
export async function readRunFolder(directory: string): Promise<RunFolder> {
  const config = readRunConfig(directory);
  const task = readTaskRecord(runPaths(directory).task);
  return {
    config: { ...config, length: config.length ?? task.length },
    task,
    ...(task.tokenizer !== undefined && { tokenizer: await tokenizerFromConfig(task.tokenizer) }),
  };
}

/** Identity of the model, stored in its checkpoints. */
export function modelIdentity({ model }: RunConfig): JsonValue {
  return { model: JSON.parse(JSON.stringify(model)) as JsonValue };
}

/** Whether there is a checkpoint: before the first one, a run's configuration may still be replaced. */
export function hasCheckpoint(directory: string): boolean {
  return newestStep(directory) !== undefined;
}

/** Step of the newest checkpoint, damaged or not; undefined if there is none. */
export function newestStep(directory: string): number | undefined {
  const { checkpoints } = runPaths(directory);
  const names = existsSync(checkpoints) ? readdirSync(checkpoints) : [];
  const steps = names.flatMap((name) => (/^step-\d+$/.test(name) ? [Number(name.slice(5))] : []));
  return steps.length === 0 ? undefined : Math.max(...steps);
}

/** @throws ConfigError when a directory holds something else: folders that are no run's, a checkpoint, an export */
export function requireOwnFolder(directory: string): void {
  const other = isRunFolder(directory) ? undefined : foreignFolder(directory);
  if (other !== undefined) {
    throw new ConfigError(
      `${directory}: expected a new folder, or that of a run; this one holds the folder ${other} and is no run`,
    );
  }
  const isOther = existsSync(runPaths(directory).config) && !isRunFolder(directory);
  if (isOther || existsSync(join(directory, "model.safetensors"))) {
    throw new ConfigError(
      `${directory}: holds a checkpoint or an export, not a run that goes on; name a new folder, and start from what is there with --from ${directory}`,
    );
  }
}

function foreignFolder(directory: string): string | undefined {
  if (!existsSync(directory)) return undefined;
  const own = new Set(["tensorboard", "checkpoints"]);
  const found = readdirSync(directory, { withFileTypes: true });
  return found.find((entry) => entry.isDirectory() && !own.has(entry.name) && !entry.name.startsWith("."))?.name;
}

/** Writes a run's settings and the record of its task. */
export async function writeRunFolder(directory: string, config: RunConfig, task: TaskRecord): Promise<void> {
  const paths = runPaths(directory);
  makeFolder(directory);
  await writeFileAtomic(paths.task, `${JSON.stringify(task, null, 2)}\n`);
  await writeFileAtomic(paths.config, `${JSON.stringify(config, null, 2)}\n`);
}

/** Settings that a resumed run may change: they affect how it computes, not the result of a step. */
const changeable: ReadonlySet<string> = new Set([
  "steps",
  "microBatches",
  "evalEvery",
  "evalTokens",
  "patience",
  "checkpointEvery",
  "keep",
  "device",
]);

/**
 * Makes sure that a run may be resumed with a configuration.
 *
 * @throws ConfigError naming the settings that differ and must not
 */
export function requireSameSettings(directory: string, before: RunConfig, now: RunConfig): void {
  const made = newestStep(directory) ?? 0;
  if (now.steps < made) {
    throw new ConfigError(
      `${directory}: ${made} steps are made already, more than the ${now.steps} that are asked for; give more steps, or another directory`,
    );
  }
  const differences = differingSettings(before, now);
  if (differences.length === 0) return;
  throw new ConfigError(
    `${directory}: this run was started with another configuration; take another directory, or leave these settings as they were\n  ${differences.join("\n  ")}`,
  );
}

function differingSettings(before: RunConfig, now: RunConfig): string[] {
  const [old, fresh] = [flatSettings(before), flatSettings(now)];
  const names = [...new Set([...old.keys(), ...fresh.keys()])].filter((name) => !changeable.has(name));
  const text = (value: unknown) => (value === undefined ? "none" : JSON.stringify(value));
  const changed = names.filter(
    (name) => canonicalJson(old.get(name) ?? null) !== canonicalJson(fresh.get(name) ?? null),
  );
  return changed.map((name) => `${name}: ${text(old.get(name))} then, ${text(fresh.get(name))} now`);
}

/** Settings by their dotted names, without the path of the data, which may change: the task's fingerprint identifies them. */
function flatSettings({ task: { data: _, ...task }, ...rest }: RunConfig): Map<string, unknown> {
  const isTree = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  return new Map(
    Object.entries({ ...rest, task }).flatMap(([name, value]): [string, unknown][] =>
      isTree(value) ? Object.entries(value!).map(([option, own]) => [`${name}.${option}`, own]) : [[name, value]],
    ),
  );
}
