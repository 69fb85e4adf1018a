import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { canonicalJson } from "./canonical-json.ts";
import { ConfigError, parseRunConfig, type RunConfig } from "./config.ts";
import type { TaskRecord } from "./task-record.ts";

/** Where the parts of a run lie. */
export type RunPaths = {
  /** The settings, complete. */
  readonly config: string;
  /** What the run keeps of its task: {@link TaskRecord}. */
  readonly task: string;
  readonly checkpoints: string;
  readonly metrics: string;
  readonly lock: string;
};

export function runPaths(directory: string): RunPaths {
  const at = (name: string) => join(directory, name);
  return {
    config: at("config.json"),
    task: at("task.json"),
    checkpoints: at("checkpoints"),
    metrics: at("metrics.jsonl"),
    lock: at("run.lock"),
  };
}

/** Whether a directory holds a run, rather than a checkpoint for other programs. */
export function isRunFolder(directory: string): boolean {
  const { task, checkpoints } = runPaths(directory);
  return existsSync(task) || existsSync(checkpoints);
}

/**
 * The configuration that a run's directory was started with.
 *
 * @throws ConfigError when there is none, or this version does not understand it
 */
export function readRunConfig(directory: string): RunConfig {
  const path = runPaths(directory).config;
  if (!existsSync(path))
    throw new ConfigError(`${directory}: not a run, it has no config.json; \`tsformers train\` makes runs`);
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError(`${path}: expected JSON; ${(error as Error).message}`);
  }
  return parseRunConfig(data, path);
}

/**
 * Makes a directory the home of a run. One that already is must have been started with the same configuration.
 *
 * @throws ConfigError naming the settings that differ
 */
export async function claimRunFolder(directory: string, config: RunConfig, task: TaskRecord): Promise<void> {
  const path = runPaths(directory).config;
  if (existsSync(path)) {
    const differences = differingSettings(readRunConfig(directory), config);
    if (differences.length === 0) return;
    throw new ConfigError(
      `${directory}: this run was started with another configuration; take another directory, or leave these settings as they were\n  ${differences.join("\n  ")}`,
    );
  }
  mkdirSync(directory, { recursive: true });
  await writeFileAtomic(runPaths(directory).task, `${JSON.stringify(task, null, 2)}\n`);
  await writeFileAtomic(path, `${JSON.stringify(config, null, 2)}\n`);
}

function differingSettings(before: RunConfig, now: RunConfig): string[] {
  const [old, fresh] = [before, now] as unknown as Record<string, unknown>[];
  const names = [...new Set([...Object.keys(old!), ...Object.keys(fresh!)])];
  const changed = names.filter((name) => canonicalJson(old![name] ?? null) !== canonicalJson(fresh![name] ?? null));
  return changed.map((name) => `${name}: ${JSON.stringify(old![name])} then, ${JSON.stringify(fresh![name])} now`);
}

/**
 * Holds a run's directory for this process: only one may write. Waits a little for another that is about to end.
 *
 * @returns gives it up
 * @throws Error naming the process that has it
 */
export async function lockRun(directory: string, options: { readonly waitMs?: number } = {}): Promise<() => void> {
  const { lock } = runPaths(directory);
  const until = Date.now() + (options.waitMs ?? 0);
  for (;;) {
    try {
      const file = openSync(lock, "wx");
      writeSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = readOwner(lock);
    if (owner === undefined || !isAlive(owner)) rmSync(lock, { force: true });
    else if (Date.now() > until)
      throw new Error(`${directory}: process ${owner} is at work on this run; wait for it, or end it`);
    else await sleep(100);
  }
}

function readOwner(lock: string): number | undefined {
  try {
    // Between creation and writing the file is empty: somebody has just taken it.
    const text = readFileSync(lock, "utf8");
    return text === "" ? process.ppid : Number(text);
  } catch {
    return undefined;
  }
}

function isAlive(id: number): boolean {
  if (id === process.pid) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
