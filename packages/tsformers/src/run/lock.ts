import { execFileSync } from "node:child_process";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { temporaryPath } from "../io/atomic-file.ts";
import { fileError } from "../io/file-error.ts";

/** Owner of a lock: identified so that no later process can be mistaken for it, even with the same number. */
type Owner = {
  readonly host: string;
  readonly pid: number;
  /** Start time of the process as given by its system; null if unknown. */
  readonly started: string | null;
};

const ownerSchema: z.ZodType<Owner> = z.strictObject({
  host: z.string(),
  pid: z.int().positive(),
  started: z.string().nullable(),
});

/**
 * Locks a file for this process. The file appears complete, with its owner in it: a file that is empty, torn or left
 * behind by a process that has ended blocks nobody.
 *
 * @param options.waitMs how long to wait for a living owner, in milliseconds. Default: 0
 * @param options.onWait called once when a living owner is waited for
 * @returns a function that releases the lock
 * @throws Error naming the file and its living owner; FileError when the file cannot be written
 */
export async function lockFile(
  path: string,
  options: { readonly waitMs?: number; onWait?(): void } = {},
): Promise<() => void> {
  const own = JSON.stringify(ownerOf(process.pid));
  const until = Date.now() + (options.waitMs ?? 0);
  let waits = false;
  for (;;) {
    if (createWhole(path, own)) return () => release(path, own);
    const found = readOrNothing(path);
    if (found === undefined) continue;
    const owner = parseOwner(found);
    if (owner === undefined || !isAlive(owner)) removeStale(path, found);
    else if (Date.now() > until) throw new Error(`${path}: ${described(owner)}`);
    else {
      if (!waits) options.onWait?.();
      waits = true;
      await sleep(100);
    }
  }
}

function described({ host, pid }: Owner): string {
  return host === hostname()
    ? `process ${pid} is at work here; wait for it, or end it`
    : `process ${pid} on ${host} is at work here; wait for it, or, if that machine has ended it, remove this file`;
}

/** @returns false if the file exists already */
function createWhole(path: string, text: string): boolean {
  const temporary = temporaryPath(path);
  try {
    writeFileSync(temporary, text, { flag: "wx" });
    linkOrWrite(temporary, path, text);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fileError(path, error);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Some file systems have no links. There the file is empty for a moment, in which another process may mistake it for stale. */
function linkOrWrite(temporary: string, path: string, text: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw error;
    writeFileSync(path, text, { flag: "wx" });
  }
}

/** Removes a file with the content `found`. If another process has replaced it in the meantime, puts the new file back. */
function removeStale(path: string, found: string): void {
  const aside = temporaryPath(path);
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = readFileSync(aside, "utf8");
  if (moved !== found) createWhole(path, moved);
  rmSync(aside, { force: true });
}

function release(path: string, own: string): void {
  if (readOrNothing(path) === own) rmSync(path, { force: true });
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    // Not JSON: this program did not write it completely.
    return undefined;
  }
}

function ownerOf(pid: number): Owner {
  return { host: hostname(), pid, started: startOf(pid) ?? null };
}

/** Whether the process is still running. One on another machine cannot be checked, and counts as running. */
function isAlive({ host, pid, started }: Owner): boolean {
  if (host !== hostname()) return true;
  if (!isRunning(pid)) return false;
  const now = startOf(pid);
  return started === null || now === undefined || now === started;
}

/** Whether there is a process with this number on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Start time of a process: on Linux in ticks since an identified boot, elsewhere the date printed by `ps`; undefined if unknown. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      // The name in parentheses may contain spaces; the start is the 20th field after it.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
      return `${boot} ${fields[19]}`;
    }
    if (process.platform === "win32") return undefined;
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch {
    return undefined;
  }
}
