import { execFileSync } from "node:child_process";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { temporaryPath } from "../io/atomic-file.ts";
import { fileError } from "../io/file-error.ts";

/** Who holds a lock: a process that no later one can be taken for, whatever number that gets. */
type Owner = {
  readonly host: string;
  readonly pid: number;
  /** When the process began, as its system tells; null where it does not. */
  readonly started: string | null;
};

const ownerSchema: z.ZodType<Owner> = z.strictObject({
  host: z.string(),
  pid: z.int().positive(),
  started: z.string().nullable(),
});

/**
 * Holds a file as a lock for this process. The file appears whole, with its owner in it, so that one which is empty, torn or
 * left behind by a process that has ended holds nobody up.
 *
 * @param options.waitMs how long to wait for a living owner, default 0
 * @returns gives the lock up
 * @throws Error naming the file and its living owner; FileError when the file cannot be written
 */
export async function lockFile(path: string, options: { readonly waitMs?: number } = {}): Promise<() => void> {
  const own = JSON.stringify(ownerOf(process.pid));
  const until = Date.now() + (options.waitMs ?? 0);
  for (;;) {
    if (createWhole(path, own)) return () => release(path, own);
    const found = readOrNothing(path);
    if (found === undefined) continue;
    const owner = parseOwner(found);
    if (owner === undefined || !isAlive(owner)) removeStale(path, found);
    else if (Date.now() > until) throw new Error(`${path}: ${described(owner)}`);
    else await sleep(100);
  }
}

function described({ host, pid }: Owner): string {
  return host === hostname()
    ? `process ${pid} is at work here; wait for it, or end it`
    : `process ${pid} on ${host} is at work here; wait for it, or, if that machine has ended it, remove this file`;
}

/** @returns whether the file was not there before */
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

/** Some file systems have no links. There the file appears empty for a moment, in which another process may take it for stale. */
function linkOrWrite(temporary: string, path: string, text: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw error;
    writeFileSync(path, text, { flag: "wx" });
  }
}

/** Takes away a file that says `found`. Another process may have been faster: what it has put there since goes back. */
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
    // No JSON: nothing that this program has written whole.
    return undefined;
  }
}

function ownerOf(pid: number): Owner {
  return { host: hostname(), pid, started: startOf(pid) ?? null };
}

/** Whether the process still runs. One on another machine cannot be asked, and counts as running. */
function isAlive({ host, pid, started }: Owner): boolean {
  if (host !== hostname()) return true;
  if (!exists(pid)) return false;
  const now = startOf(pid);
  return started === null || now === undefined || now === started;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process began: on Linux ticks since a named boot, elsewhere the date that `ps` prints; undefined where neither is. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      // The name in parentheses may hold spaces; the start is the 20th field behind it.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
      return `${boot} ${fields[19]}`;
    }
    if (process.platform === "win32") return undefined;
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch {
    return undefined;
  }
}
