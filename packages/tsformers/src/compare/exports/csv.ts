import type { Columns, ColumnType } from "../../store/record.ts";

/**
 * Records as a CSV file with a header (RFC 4180: comma, CRLF, quotes where they are needed), in UTF-8. Null is an empty field; JSON stands in
 * one field. Nothing is put in front of a text that a spreadsheet would take for a formula: the texts are names and settings that programs
 * compare, and a changed name would be another one.
 */
export function csvOf<R extends object>(records: readonly R[], columns: Columns<R>): string {
  const typed = Object.entries<ColumnType>(columns);
  const lines = records.map((record) => typed.map(([name, type]) => fieldOf(record[name as keyof R], type)));
  return csvText([typed.map(([name]) => name), ...lines]);
}

/** Rows of fields as a CSV file. */
export function csvText(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}

function fieldOf(value: unknown, type: ColumnType): string {
  if (value === null || value === undefined) return "";
  return type === "json" ? JSON.stringify(value) : String(value);
}

function quoted(field: string): string {
  return /[",\r\n]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
