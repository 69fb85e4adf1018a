/** A table as text, not yet fitted to a terminal. The first column names the row. */
export type TextTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of texts, beside the first: they are flush left. */
  readonly texts?: ReadonlySet<number>;
};

/** Renders a table as lines no wider than `columns`. If it does not fit, every row becomes a small list instead. */
export function renderTable(table: TextTable, columns: number, bold: (text: string) => string): string {
  const { title, header, rows, texts } = table;
  const above = title === "" ? [] : [bold(title)];
  if (widthOf(table) > columns) return [...above, ...rows.flatMap((row) => stacked(header, row, bold))].join("\n");
  const widths = widthsOf(table);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 || texts?.has(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join("  ")
      .trimEnd();
  return [...above, line(header), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n");
}

/** Width of a table whose rows are lines. */
export function widthOf(table: TextTable): number {
  return widthsOf(table).reduce((sum, width) => sum + width + 2, -2);
}

function widthsOf({ header, rows }: TextTable): number[] {
  return header.map((name, column) => rows.reduce((most, row) => Math.max(most, row[column]!.length), name.length));
}

function stacked(header: readonly string[], row: readonly string[], bold: (text: string) => string): string[] {
  const width = Math.max(0, ...header.slice(1).map((name) => name.length));
  return [bold(row[0]!), ...header.slice(1).map((name, i) => `  ${name.padEnd(width)}  ${row[i + 1]}`)];
}
