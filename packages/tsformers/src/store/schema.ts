import type { Database } from "node-sqlite3-wasm";
import { cellsOf, columnSql, plainColumns } from "./columns.ts";
import { type Columns, type CostRecord, costColumns, type RunRecord, runColumns } from "./record.ts";

/** Of the tables below. An index of another version is made again. */
export const schemaVersion = 2;

const sqlTypes = { text: "TEXT", integer: "INTEGER", real: "REAL", boolean: "INTEGER" } as const;

/** Columns of a table: a record's own, by which rows are found and sorted, and the whole record as JSON, which is read much faster in one piece. */
function tableSql<R>(columns: Columns<R>): string {
  const own = plainColumns(columns).map(
    (name) => `"${name}" ${sqlTypes[columns[name as keyof typeof columns] as keyof typeof sqlTypes]}`,
  );
  return [...own, "record TEXT NOT NULL"].join(", ");
}

/** Columns of a view: all of a record's. */
function viewSql<R>(columns: Columns<R>): string {
  return [...Object.keys(columns).map((name) => `${columnSql(name, columns)} AS "${name}"`), "record"].join(", ");
}

/**
 * Tables hold what each comparison says. The same run and the same measurement may be in several; the views `runs` and `costs` have each
 * once, as the comparison has it that ended last.
 */
const schema = `
CREATE TABLE sources (comparison TEXT PRIMARY KEY, mtimeMs REAL NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE comparedRuns (${tableSql(runColumns)}, PRIMARY KEY (comparison, folder));
CREATE INDEX runsByFolder ON comparedRuns (folder, finishedAt, comparison);
CREATE INDEX runsByTask ON comparedRuns (task, taskLabel);
CREATE INDEX runsByModel ON comparedRuns (model, mixer);
CREATE VIEW runs AS SELECT ${viewSql(runColumns)} FROM comparedRuns AS own WHERE NOT EXISTS (
  SELECT 1 FROM comparedRuns AS other
  WHERE other.folder = own.folder AND (other.finishedAt, other.comparison) > (own.finishedAt, own.comparison));

CREATE TABLE comparedCosts (${tableSql(costColumns)}, PRIMARY KEY (comparison, taskLabel, variant, length));
CREATE INDEX costsByVariant ON comparedCosts (taskLabel, variant, length);
CREATE INDEX costsByLength ON comparedCosts (task, length);
CREATE VIEW costs AS SELECT ${viewSql(costColumns)} FROM comparedCosts AS own WHERE NOT EXISTS (
  SELECT 1 FROM comparedCosts AS other
  WHERE other.taskLabel = own.taskLabel AND other.variant = own.variant AND other.length = own.length
  AND other.record -> '$.config' IS own.record -> '$.config' AND other.cpu = own.cpu AND other.cores = own.cores
  AND (other.finishedAt, other.comparison) > (own.finishedAt, own.comparison));

PRAGMA user_version = ${schemaVersion};`;

/** Makes the tables of an empty database; leaves one that has them as it is. */
export function prepareTables(database: Database): void {
  if (versionOf(database) !== schemaVersion) database.exec(schema);
}

/** Whether a database has these tables and is whole. @throws what SQLite says of a file that is none */
export function isSound(database: Database): boolean {
  if (versionOf(database) !== schemaVersion) return false;
  const [report] = database.all("PRAGMA quick_check(1)");
  if (report?.quick_check !== "ok") throw new Error(String(report?.quick_check));
  return true;
}

function versionOf(database: Database): unknown {
  return database.get("PRAGMA user_version")?.user_version;
}

export function insertRuns(database: Database, records: readonly RunRecord[]): void {
  insert(database, "comparedRuns", records, runColumns);
}

export function insertCosts(database: Database, records: readonly CostRecord[]): void {
  insert(database, "comparedCosts", records, costColumns);
}

function insert<R extends object>(database: Database, table: string, records: readonly R[], columns: Columns<R>): void {
  const places = [...plainColumns(columns), "record"].map(() => "?");
  const statement = database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (${places.join(", ")})`);
  try {
    for (const record of records) statement.run(cellsOf(record, columns));
  } finally {
    statement.finalize();
  }
}
