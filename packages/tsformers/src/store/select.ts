import { type Cell, columnSql } from "./columns.ts";
import type { Condition, Filter, Scalar } from "./filter.ts";
import type { Columns } from "./record.ts";

type Sql = { readonly sql: string; readonly values: Cell[] };

/**
 * A filter as a SELECT over a table that has the columns.
 *
 * @throws UnknownColumn; RangeError for a limit that is none
 */
export function selectOf<R>(table: string, filter: Filter<R>, columns: Columns<R>): Sql {
  const { match = {}, where = [], sort, reverse = false, limit } = filter;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new RangeError(`limit must be a whole number of at least 0, got ${limit}`);
  const wanted = Object.entries(match).flatMap(([column, value]) =>
    value === undefined ? [] : [matchSql(column, value as Wanted, columns)],
  );
  const conditions = [...wanted, ...where.map((condition) => conditionSql(condition, columns))];
  const order = orderSql(sort, reverse, columns);
  const names = Object.keys(columns).map((name) => `"${name}"`);
  const sql = [
    `SELECT ${names.join(", ")} FROM ${table}`,
    conditions.length === 0 ? "" : `WHERE ${conditions.map((one) => one.sql).join(" AND ")}`,
    `ORDER BY ${order.sql}`,
    limit === undefined ? "" : `LIMIT ${limit}`,
  ];
  return { sql: sql.join(" "), values: [...conditions.flatMap(({ values }) => values), ...order.values] };
}

type Wanted = Scalar | null | readonly (Scalar | null)[];

/** One of several values; null is one, too. */
function matchSql<R>(column: string, wanted: Wanted, columns: Columns<R>): Sql {
  const own = columnSql(column, columns);
  const all = [wanted].flat() as (Scalar | null)[];
  const tests = all.map(() => `${own.sql} IS ?`);
  if (tests.length === 0) return { sql: "0", values: [] };
  return { sql: `(${tests.join(" OR ")})`, values: all.flatMap((value) => [...own.values, cellOf(value)]) };
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
  const own = columnSql(column, columns);
  return { sql: `${own.sql} ${operators[is]} ?`, values: [...own.values, cellOf(value)] };
}

/** Rows that are equal in what is sorted by keep one order, so that a listing is the same each time. */
function orderSql<R>(sort: string | undefined, reverse: boolean, columns: Columns<R>): Sql {
  const last = ["finishedAt DESC", "comparison", "taskLabel", "variant"];
  const ties = [...last, ...["seed", "length"].filter((name) => Object.hasOwn(columns, name))];
  if (sort === undefined) {
    return { sql: reverse ? ["finishedAt", ...ties.slice(1)].join(", ") : ties.join(", "), values: [] };
  }
  const own = columnSql(sort, columns);
  const isScore = sort === "score" && Object.hasOwn(columns, "better");
  const key = isScore ? `CASE better WHEN 'higher' THEN -score ELSE score END` : own.sql;
  return { sql: [`${key} ${reverse ? "DESC" : "ASC"} NULLS LAST`, ...ties].join(", "), values: own.values };
}

function cellOf(value: Scalar | null): Cell {
  return typeof value === "boolean" ? Number(value) : value;
}
