import { expectation } from "../schema/nearest.ts";
import type { Columns, ColumnType } from "./record.ts";

/** What a database holds in a cell. */
export type Cell = string | number | null;

/** An error about the name of a column. */
export class UnknownColumn extends Error {
  override readonly name = "UnknownColumn";
}

/** A record as the cells of a row, in the order of its columns. What is not finite is null, as in JSON. */
export function cellsOf<R extends object>(record: R, columns: Columns<R>): Cell[] {
  return Object.entries<ColumnType>(columns).map(([name, type]) => {
    const value = record[name as keyof R] as unknown;
    if (value === null || value === undefined) return null;
    if (type === "json") return JSON.stringify(value);
    if (type === "boolean") return value === true ? 1 : 0;
    return typeof value === "number" && !Number.isFinite(value) ? null : (value as Cell);
  });
}

/** The record of a row. */
export function recordOf<R extends object>(row: Readonly<Record<string, unknown>>, columns: Columns<R>): R {
  const entries = Object.entries<ColumnType>(columns).map(([name, type]) => {
    const cell = row[name];
    if (cell === null) return [name, null];
    if (type === "json") return [name, JSON.parse(String(cell))];
    return [name, type === "boolean" ? cell === 1 : cell];
  });
  return Object.fromEntries(entries) as R;
}

/**
 * The SQL of a column, or of the path of a value in one of JSON, with the values that it binds.
 *
 * @throws UnknownColumn with the nearest name
 */
export function columnSql<R>(name: string, columns: Columns<R>): { readonly sql: string; readonly values: Cell[] } {
  const [first = "", ...path] = name.split(".");
  const type = Object.hasOwn(columns, first) ? columns[first as keyof typeof columns] : undefined;
  const isKnown = type !== undefined && (path.length === 0 || type === "json");
  if (!isKnown || path.some((key) => key === "" || key.includes('"')))
    throw new UnknownColumn(
      `unknown column ${JSON.stringify(name)}${expectation(path.length === 0 ? name : first, Object.keys(columns))}`,
    );
  if (path.length === 0) return { sql: `"${first}"`, values: [] };
  return { sql: `json_extract("${first}", ?)`, values: [`$${path.map((key) => `."${key}"`).join("")}`] };
}
