import type { Database } from "node-sqlite3-wasm";
import { suggestion } from "../schema/nearest.ts";
import { costColumns, runColumns } from "./record.ts";

/**
 * The rows of one SELECT. Whole numbers that JavaScript's cannot hold are text.
 *
 * @throws RangeError when it is anything else, or SQLite does not understand it
 */
export function readOnlyQuery(database: Database, sql: string): Readonly<Record<string, unknown>>[] {
  if (!/^\s*(SELECT|WITH|VALUES)\b/i.test(sql))
    throw new RangeError(`expected a SELECT, got ${JSON.stringify(sql.trim().slice(0, 40))}`);
  const one = sql.replace(/[;\s]+$/, "");
  database.exec("PRAGMA query_only = ON");
  try {
    // As a part of another SELECT only one SELECT will do; of several statements the rest would not be looked at.
    database.all(`EXPLAIN SELECT * FROM (\n${one}\n)`);
    return database
      .all(one)
      .map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, plain(value)])));
  } catch (error) {
    const { message } = error as Error;
    if (/^near ";"/.test(message)) throw new RangeError("expected one SELECT, got several statements");
    const [, kind, name = ""] = /no such (column|table): (.*)/.exec(message) ?? [];
    const known = { column: [...Object.keys(runColumns), ...Object.keys(costColumns)], table: ["runs", "costs"] };
    const near = kind === "column" || kind === "table" ? suggestion(name, [...new Set(known[kind])]) : "";
    throw new RangeError(`${message}${near}`);
  }
}

function plain(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
