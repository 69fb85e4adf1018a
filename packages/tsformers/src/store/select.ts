import { type Cell, columnSql } from "./columns.ts";
import type { Condition, Filter, Scalar } from "./filter.ts";
import type { Columns } from "./record.ts";

type Sql = { readonly sql: string; readonly values: Cell[] };

/**
 * A filter as a SELECT of whole records from a table that has the columns.
 *
 * @throws UnknownColumn; RangeError for a limit that is none
 */
export function selectOf<R>(table: string, filter: Filter<R>, columns: Columns<R>): Sql {
  const { match = {}, where = [], sort, reverse = false, limit } = filter;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new RangeError(`limit must be a whole number of at least 0, got ${limit}`);
  const wanted = Object.entries(match).flatMap(([column, value]) =>
    value === undefined ? [] : [matchSql(columnSql(column, columns), [value as Wanted].flat())],
  );
  const conditions = [...wanted, ...where.map((condition) => conditionSql(condition, columns))];
  const sql = [
    `SELECT record FROM ${table}`,
    conditions.length === 0 ? "" : `WHERE ${conditions.map((one) => one.sql).join(" AND ")}`,
    `ORDER BY ${orderSql(sort, reverse, columns)}`,
    limit === undefined ? "" : `LIMIT ${limit}`,
  ];
  return { sql: sql.join(" "), values: conditions.flatMap(({ values }) => values) };
}

type Wanted = Scalar | null | readonly (Scalar | null)[];

/** One of several values; null is one, too. */
function matchSql(column: string, wanted: readonly (Scalar | null)[]): Sql {
  if (wanted.length === 0) return { sql: "0", values: [] };
  return { sql: `(${wanted.map(() => `${column} IS ?`).join(" OR ")})`, values: wanted.map(cellOf) };
}

const operators: Readonly<Record<Condition["is"], string>> = {
  "=": "IS",
  "!=": "IS NOT",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};

function conditionSql<R>({ column, is, value }: Condition, columns: Columns<R>): Sql {
  return { sql: `${columnSql(column, columns)} ${operators[is]} ?`, values: [cellOf(value)] };
}

/** Rows that are equal in what is sorted by keep one order, so that a listing is the same each time. */
function orderSql<R>(sort: string | undefined, reverse: boolean, columns: Columns<R>): string {
  const isRun = Object.hasOwn(columns, "seed");
  const ties = ["comparison", "taskLabel", "variant", isRun ? "pretrained, seed" : "length"].join(", ");
  if (sort === undefined) return `finishedAt ${reverse ? "ASC" : "DESC"}, ${ties}`;
  const key =
    isRun && sort === "score" ? "CASE better WHEN 'higher' THEN -score ELSE score END" : columnSql(sort, columns);
  return `${key} ${reverse ? "DESC" : "ASC"} NULLS LAST, finishedAt DESC, ${ties}`;
}

function cellOf(value: Scalar | null): Cell {
  return typeof value === "boolean" ? Number(value) : value;
}
