import type { BasicType } from "hyparquet-writer";
import type { Columns, ColumnType } from "../../store/record.ts";

/** Records as a Parquet file: texts as strings, whole numbers with 64 bits, others as doubles, JSON as its logical type; every column may have nulls. */
export async function parquetOf<R extends object>(records: readonly R[], columns: Columns<R>): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const columnData = Object.entries<ColumnType>(columns).map(([name, type]) => ({
    name,
    ...columnOf(
      records.map((record) => record[name as keyof R] as unknown),
      type,
    ),
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}

type Column = { readonly type: BasicType; readonly data: unknown[] };

function columnOf(values: readonly unknown[], type: ColumnType): Column {
  const each = (change: (value: never) => unknown) =>
    values.map((value) => (value == null ? null : change(value as never)));
  switch (type) {
    case "text":
      return { type: "STRING", data: each(String) };
    case "boolean":
      return { type: "BOOLEAN", data: each(Boolean) };
    case "json":
      return { type: "JSON", data: each((value) => value) };
    case "integer":
      return { type: "INT64", data: each((value: number) => BigInt(Math.round(value))) };
    case "real":
      return { type: "DOUBLE", data: each((value: number) => value) };
  }
}
