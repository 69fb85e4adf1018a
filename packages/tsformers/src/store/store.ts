import { statSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "node-sqlite3-wasm";
import { FileError, fileError } from "../io/file-error.ts";
import type { Filter } from "./filter.ts";
import { readOnlyQuery } from "./read-only-query.ts";
import { type Columns, type CostRecord, costColumns, type RunRecord, runColumns } from "./record.ts";

/**
 * The index of all runs in a folder. Results of comparisons are the truth; the index is a file that is made again from them whenever it
 * is missing, damaged, older than they are or of another version.
 */
export type Store = {
  /** The runs that match; each once, as the comparison has it that ended last, or as `match.comparison` has it. */
  list(filter?: Filter<RunRecord>): RunRecord[];
  /** Measured costs of steps that match, one for each variant and length; each measurement once. */
  costs(filter?: Filter<CostRecord>): CostRecord[];
  /** Adds runs, or replaces those of the same comparison and folder. They stay until the index is made again: write results, too. */
  add(records: RunRecord | readonly RunRecord[]): Promise<void>;
  /** Adds costs, or replaces those of the same comparison, task, variant and length. */
  addCosts(records: readonly CostRecord[]): Promise<void>;
  /** Takes in what comparisons have written since. */
  sync(): Promise<void>;
  /**
   * The result of one SELECT over the tables `runs` and `costs`; their columns are those of the records.
   *
   * @throws RangeError with what SQLite says of it
   */
  query(sql: string): Readonly<Record<string, unknown>>[];
  /** Ends the use of the store. Nothing is held open between calls. */
  close(): void;
};

export type StoreOptions = {
  /** Told what its user should know, such as that the index was damaged and made again. */
  readonly onNote?: (text: string) => void;
};

/**
 * Opens the store of a folder, and takes in what comparisons have written since.
 *
 * @param folder with the folders of runs and comparisons
 * Reading needs no index: where it cannot be written, a note says so, and results are read each time.
 *
 * @throws FileError when the folder is missing
 */
export async function openStore(folder: string, { onNote = () => {} }: StoreOptions = {}): Promise<Store> {
  requireFolder(folder);
  // SQLite is 1.3 MB that only stores need.
  const [{ indexFile, indexName, isFile }, { insertCosts, insertRuns, isSound, prepareTables }, sources, { selectOf }] =
    await Promise.all([
      import("./index-file.ts"),
      import("./schema.ts"),
      import("./sources.ts"),
      import("./select.ts"),
    ]);
  const file = indexFile(folder);
  const path = join(folder, indexName);

  /** Whether the index is whole, of this version, and has all that there is. */
  const state = (onDamage?: (problem: string) => void): "current" | "behind" | "unusable" => {
    try {
      return file.read((database) => {
        const isThere = isFile(path);
        if (isThere && !isSound(database)) return "unusable";
        prepareTables(database);
        const { changed, gone } = sources.changesSince(database, folder);
        // A folder without results gets no index either.
        if (changed.size + gone.length === 0) return "current";
        return isThere ? "behind" : "unusable";
      });
    } catch (error) {
      onDamage?.((error as Error).message);
      return "unusable";
    }
  };
  const noteDamage = (problem: string) =>
    onNote(`${path}: was damaged (${problem}); it was made again from the results of comparisons`);
  const update = (change: (database: Database) => void = () => {}): Promise<void> =>
    file.write(
      () => state(noteDamage) !== "unusable",
      (database) => {
        prepareTables(database);
        sources.takeIn(database, folder, sources.changesSince(database, folder), onNote);
        change(database);
      },
    );
  /** Whether what the index lacks is read for each question anew, as it cannot be written. */
  let isReadOnly = false;
  const sync = async () => {
    if (state() === "current") return;
    try {
      await update();
      isReadOnly = false;
    } catch (error) {
      if (!isReadOnly)
        onNote(`${(error as Error).message}; runs are read from the results of comparisons, without an index`);
      isReadOnly = true;
    }
  };
  const select = <R extends object>(tables: [all: string, once: string], filter: Filter<R>, columns: Columns<R>) => {
    const isOfOne = (filter.match as { comparison?: unknown } | undefined)?.comparison !== undefined;
    const { sql, values } = selectOf(isOfOne ? tables[0] : tables[1], filter, columns);
    return read((database) => database.all(sql, values).map(({ record }) => JSON.parse(String(record)) as R));
  };

  /** Told once of results that cannot be read. */
  let onUnread = onNote;
  const read = <T>(work: (database: Database) => T): T =>
    file.read(
      (database) => {
        prepareTables(database);
        if (isReadOnly) {
          database.exec("BEGIN");
          sources.takeIn(database, folder, sources.changesSince(database, folder), onUnread);
          database.exec("COMMIT");
          onUnread = () => {};
        }
        return work(database);
      },
      !isReadOnly || state() !== "unusable",
    );

  await sync();
  return {
    list: (filter = {}) => select(["comparedRuns", "runs"], filter, runColumns),
    costs: (filter = {}) => select(["comparedCosts", "costs"], filter, costColumns),
    add: (records) => update((database) => insertRuns(database, [records].flat())),
    addCosts: (records) => update((database) => insertCosts(database, records)),
    sync,
    query: (sql) => read((database) => readOnlyQuery(database, sql)),
    close: () => {},
  };
}

function requireFolder(folder: string): void {
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    throw fileError(folder, error);
  }
  if (found === undefined) throw new FileError(folder, "no such folder");
  if (!found.isDirectory()) throw new FileError(folder, "expected a folder, this is a file");
}
