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
 * The SQL of a column, or of the path of a value in one of JSON.
 *
 * @throws UnknownColumn with the nearest name
 */
export function columnSql<R>(name: string, columns: Columns<R>): string {
  const [first = "", ...path] = name.split(".");
  const type = Object.hasOwn(columns, first) ? columns[first as keyof typeof columns] : undefined;
  const isKnown = type !== undefined && (path.length === 0 || type === "json");
  if (!isKnown || path.some((key) => !/^[\w -]+$/.test(key)))
    throw new UnknownColumn(
      `unknown column ${JSON.stringify(name)}${expectation(path.length === 0 ? name : first, Object.keys(columns))}`,
    );
  if (type !== "json") return `"${first}"`;
  const place = [first, ...path].map((key) => `."${key}"`).join("");
  return `record ${path.length === 0 ? "->" : "->>"} '$${place}'`;
}
