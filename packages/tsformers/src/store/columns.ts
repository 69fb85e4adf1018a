import { expectation } from "../schema/nearest.ts";
import type { Columns, ColumnType } from "./record.ts";

/** What a database holds in a cell. */
export type Cell = string | number | null;

/** A column that there is none of. */
export class UnknownColumn extends RangeError {
  override readonly name = "UnknownColumn";
}

/** Names of the columns that hold one value. */
export function plainColumns<R>(columns: Columns<R>): string[] {
  return Object.entries<ColumnType>(columns).flatMap(([name, type]) => (type === "json" ? [] : [name]));
}

/** A record as the cells of its row: its plain columns, and all of it. What is not finite is null, as in JSON. */
export function cellsOf<R extends object>(record: R, columns: Columns<R>): Cell[] {
  const cells = plainColumns(columns).map((name): Cell => {
    const value = record[name as keyof R] as string | number | boolean | null | undefined;
    if (typeof value === "boolean") return Number(value);
    return value === undefined || (typeof value === "number" && !Number.isFinite(value)) ? null : value;
  });
  return [...cells, JSON.stringify(record)];
}

/**
 * Makes sure that there is a column, or, in one of JSON, that a path is one.
 *
 * @throws UnknownColumn with the nearest name
 */
export function requireColumn<R>(name: string, columns: Columns<R>): void {
  const [first = "", ...path] = name.split(".");
  const isThere = Object.hasOwn(columns, first);
  const isJson = isThere && columns[first as keyof typeof columns] === "json";
  if (isThere && (isJson || path.length === 0) && path.every((key) => /^[\w -]+$/.test(key))) return;
  throw new UnknownColumn(`unknown column ${JSON.stringify(name)}${expectation(first, Object.keys(columns))}`);
}

/**
 * The SQL of a column, or of the path of a value in one of JSON.
 *
 * @throws UnknownColumn with the nearest name
 */
export function columnSql<R>(name: string, columns: Columns<R>): string {
  requireColumn(name, columns);
  const [first, ...path] = name.split(".");
  if (columns[first as keyof typeof columns] !== "json") return `"${first}"`;
  const place = [first, ...path].map((key) => `."${key}"`).join("");
  return `record ${path.length === 0 ? "->" : "->>"} '$${place}'`;
}
