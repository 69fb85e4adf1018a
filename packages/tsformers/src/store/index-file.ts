import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "node-sqlite3-wasm";
import sqlite from "node-sqlite3-wasm";
import { temporaryPath, writeFileAtomic } from "../io/atomic-file.ts";
import { lockFile } from "../run/lock.ts";

/** Names in the folder of a store. */
export const indexName = "runs.sqlite";
const lockName = "runs.lock";

/** How long a writer waits for another; each takes milliseconds. */
const longestWaitMs = 60_000;

/**
 * The database file of a folder. SQLite works on private copies of it only, and a changed copy replaces the file in one step: whoever is
 * killed at whatever moment leaves a file that is whole, old or new, and readers wait for nobody.
 *
 * (This build of SQLite cannot be let on a file that others share. It locks with a folder that stays when its process is killed, after which
 * nobody gets in; and it takes its own lock for another process's, so that it never rolls back the journal of a killed one, and goes
 * on with a damaged file.)
 */
export type IndexFile = {
  /**
   * Works on a copy of the file, or on an empty database where there is none; what is changed there is lost.
   *
   * @param isUsable whether the file may be taken. Default: true
   */
  read<T>(work: (database: Database) => T, isUsable?: boolean): T;
  /**
   * Changes the file, while no other process does.
   *
   * @param isUsable asked of a file that is there, when no other process can change it any more; if not, an empty database takes its place
   */
  write(isUsable: () => boolean, change: (database: Database) => void): Promise<void>;
};

export function indexFile(folder: string): IndexFile {
  const path = join(folder, indexName);
  return {
    read: (work, isUsable = true) => {
      const home = mkdtempSync(join(tmpdir(), "tsformers-index-"));
      return onCopy(home, isUsable && isFile(path) ? path : undefined, (database) => {
        // Open files live on without a name, and a killed process leaves none. Windows keeps the names until the end.
        if (process.platform !== "win32") rmSync(home, { recursive: true, force: true });
        return work(database);
      });
    },
    write: async (isUsable, change) => {
      const unlock = await lockFile(join(folder, lockName), { waitMs: longestWaitMs });
      try {
        removeRemains(folder);
        // Beside the file, where the next writer finds it if this one is killed.
        const home = temporaryPath(path);
        mkdirSync(home);
        const bytes = onCopy(home, isFile(path) && isUsable() ? path : undefined, (database, copy) => {
          // Changes are made together, and much faster than one by one.
          database.exec("BEGIN");
          change(database);
          database.exec("COMMIT");
          return readFileSync(copy);
        });
        await writeFileAtomic(path, bytes);
      } finally {
        unlock();
      }
    },
  };
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** What writers left that were killed; the lock says that none is at work. */
function removeRemains(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(`.${indexName}.`) && name.endsWith(".tmp"))
      rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** Opens a copy of a database, or an empty one, in a folder of its own, which is removed afterwards. */
function onCopy<T>(home: string, source: string | undefined, work: (database: Database, path: string) => T): T {
  try {
    const copy = join(home, indexName);
    if (source !== undefined) copyFileSync(source, copy);
    const database = new sqlite.Database(copy);
    try {
      // Nobody else sees the copy, and a crash costs nothing.
      database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
      return work(database, copy);
    } finally {
      database.close();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
