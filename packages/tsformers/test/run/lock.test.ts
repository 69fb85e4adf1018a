import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockFile } from "../../src/run/lock.ts";

let home: string;
let lock: string;
let children: ChildProcess[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-lock-"));
  lock = join(home, "run.lock");
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

/** A process that does nothing, until it is ended. */
async function sleeper(): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ["-e", "console.log('up'); setInterval(() => {}, 1000)"]);
  children.push(child);
  await once(child.stdout, "data");
  return child as ChildProcess & { pid: number };
}

/** Takes the lock and reads what is in it, to write it again as that of another process. */
async function ownText(): Promise<Record<string, unknown>> {
  const release = await lockFile(lock);
  const text = readFileSync(lock, "utf8");
  release();
  return JSON.parse(text) as Record<string, unknown>;
}

it("is whole when it appears, and gone when it is given up", async () => {
  const release = await lockFile(lock);
  expect(JSON.parse(readFileSync(lock, "utf8"))).toMatchObject({ host: hostname(), pid: process.pid });
  expect(readdirSync(home)).toEqual(["run.lock"]);
  release();
  expect(readdirSync(home)).toEqual([]);
});

it("respects a living owner, names its file, and waits for it when told to", async () => {
  const release = await lockFile(lock);
  await expect(lockFile(lock)).rejects.toThrow(`${lock}: process ${process.pid} is at work here`);
  const waiting = lockFile(lock, { waitMs: 10_000 });
  setTimeout(release, 150);
  (await waiting)();
  expect(existsSync(lock)).toBe(false);
});

it("respects another living process, and takes over when that is killed", async () => {
  const other = await sleeper();
  const { started } = await ownText();
  // As the other process would write it: when it began is not known to this test, so it is left open.
  expect(started).not.toBeNull();
  writeFileSync(lock, JSON.stringify({ host: hostname(), pid: other.pid, started: null }));
  await expect(lockFile(lock)).rejects.toThrow(`${lock}: process ${other.pid} is at work here`);
  other.kill("SIGKILL");
  await once(other, "close");
  (await lockFile(lock))();
});

it("is not fooled by a process that has got the number of an owner that ended", async () => {
  const other = await sleeper();
  writeFileSync(lock, JSON.stringify({ host: hostname(), pid: other.pid, started: "an earlier boot" }));
  (await lockFile(lock))();
});

it.each(["", "1", "{", JSON.stringify({ pid: 1 })])(
  "takes no notice of a file that nobody wrote whole: %j",
  async (text) => {
    writeFileSync(lock, text);
    (await lockFile(lock))();
  },
);

it("cannot know of processes of other machines, and says so", async () => {
  writeFileSync(lock, JSON.stringify({ host: "elsewhere", pid: process.pid, started: null }));
  await expect(lockFile(lock)).rejects.toThrow(`process ${process.pid} on elsewhere is at work here`);
});

it("lets one of many in at a time", async () => {
  writeFileSync(lock, "");
  let inside = 0;
  let most = 0;
  const enter = async () => {
    const release = await lockFile(lock, { waitMs: 20_000 });
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
    release();
  };
  await Promise.all(Array.from({ length: 8 }, enter));
  expect(most).toBe(1);
});
