import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "node-sqlite3-wasm";
import * as z from "zod";
import type { Comparison } from "../compare/results.ts";
import { FileError } from "../io/file-error.ts";
import { readJsonFile } from "../io/read-json.ts";
import { costsOf, recordsOf } from "./records-of.ts";
import { insertCosts, insertRuns } from "./schema.ts";

/** What the results of a comparison looked like when they were read. */
type Source = { readonly mtimeMs: number; readonly size: number };

type KnownSource = Source & { readonly comparison: string };

const resultsName = "results.json";

/** The comparisons in a folder that the index does not have as they are now, and those that it has and are gone. */
export type Changes = { readonly changed: ReadonlyMap<string, Source>; readonly gone: readonly string[] };

export function changesSince(database: Database, folder: string): Changes {
  const found = sourcesIn(folder);
  const rows = database.all("SELECT comparison, mtimeMs, size FROM sources") as unknown as KnownSource[];
  const known = new Map(rows.map((row) => [row.comparison, row]));
  const isKnown = ([name, { mtimeMs, size }]: [string, Source]) =>
    known.get(name)?.mtimeMs === mtimeMs && known.get(name)?.size === size;
  return {
    changed: new Map([...found].filter((source) => !isKnown(source))),
    gone: [...known.keys()].filter((name) => !found.has(name)),
  };
}

function sourcesIn(folder: string): Map<string, Source> {
  const names = readdirSync(folder).filter((name) => name.startsWith("compare-"));
  return new Map(
    names.flatMap((name): [string, Source][] => {
      const found = fileAt(join(folder, name, resultsName));
      return found === undefined ? [] : [[name, { mtimeMs: found.mtimeMs, size: found.size }]];
    }),
  );
}

/** What a file looks like; nothing where there is none, or none that may be looked at. */
function fileAt(path: string): Source | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() ? found : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Replaces the rows of comparisons that have changed. What cannot be read has none.
 *
 * @param onNote told of each that cannot be read
 */
export function takeIn(
  database: Database,
  folder: string,
  { changed, gone }: Changes,
  onNote: (text: string) => void,
): void {
  for (const name of [...gone, ...changed.keys()]) {
    for (const table of ["sources", "comparedRuns", "comparedCosts"])
      database.run(`DELETE FROM ${table} WHERE comparison = ?`, [name]);
  }
  for (const [name, { mtimeMs, size }] of changed) {
    const path = join(folder, name, resultsName);
    try {
      const comparison = readComparison(path);
      const [runs, costs] = [recordsOf(comparison, name), costsOf(comparison, name)];
      insertRuns(database, runs);
      insertCosts(database, costs);
    } catch (error) {
      const problem =
        error instanceof FileError ? error : new FileError(path, `its form is wrong: ${messageOf(error)}`);
      onNote(`${problem.message}; its runs are not listed`);
    }
    database.run("INSERT INTO sources VALUES (?, ?, ?)", [name, mtimeMs, size]);
  }
}

const parts = z.looseObject({
  format: z.literal("tsformers-comparison", { error: "expected the results of a comparison" }),
  version: z.literal(2, { error: "expected version 2 of a comparison's results" }),
  finishedAt: z.string(),
  environment: z.looseObject({ cpu: z.string(), cores: z.number(), memoryBytes: z.number(), tsformers: z.string() }),
  tasks: z.array(z.looseObject({})),
  cells: z.array(z.looseObject({})),
  runs: z.array(z.looseObject({})),
  costs: z.array(z.looseObject({})),
});

/** @throws FileError when there is none, or of another version */
export function readComparison(path: string): Comparison {
  return readJsonFile(path, parts) as unknown as Comparison;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
