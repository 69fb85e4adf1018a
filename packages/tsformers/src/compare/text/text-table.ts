import { wrapLines } from "./wrap.ts";

/** A table as text, not yet fitted to a terminal. The first column names the row. */
export type TextTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of texts, beside the first: they are flush left. */
  readonly texts?: ReadonlySet<number>;
};

/** Of the width of a terminal, what the names of rows may take. */
const nameShare = 0.4;
/** Narrower than this they are not broken. */
const narrowestName = 16;
const gap = 2;
/** Before all lines of a text but the first. */
const indent = 2;

/**
 * Renders a table as lines no wider than `columns`: long names of rows are broken; what is still too wide becomes two tables, one below the
 * other; and where that does not do, every row becomes a small list.
 */
export function renderTable(table: TextTable, columns: number, bold: (text: string) => string): string {
  const { title, header, rows } = table;
  const names = [header, ...rows].map((row) => row[0]!);
  const widest = Math.max(...names.map((name) => name.length));
  const others = header.slice(1).map((_, column) => widthOf(table, column + 1));
  const total = widest + others.reduce((sum, width) => sum + width + gap, 0);
  const nameWidth =
    total <= columns ? widest : brokenWidth(names, Math.max(narrowestName, Math.floor(columns * nameShare)));
  const blocks = blocksOf(others, columns - nameWidth);
  const lines =
    blocks === undefined || blocks.length > 2
      ? rows.flatMap((row) => stacked(header, row, columns, bold))
      : blocks.flatMap((block, i) => [...(i > 0 ? [""] : []), ...blockLines(table, nameWidth, block)]);
  return [...(title === "" ? [] : wrap(title, columns).map(bold)), ...lines].join("\n");
}

/** Width of a table whose rows are lines. */
export function tableWidth(table: TextTable): number {
  return table.header.reduce((sum, _, column) => sum + widthOf(table, column) + gap, -gap);
}

/** Columns that stand beside each other, as few groups as possible; nothing where one alone is too wide. */
function blocksOf(widths: readonly number[], room: number): number[][] | undefined {
  const blocks: number[][] = [[]];
  let left = room;
  for (const [i, width] of widths.entries()) {
    if (width + gap > room) return undefined;
    if (width + gap > left) {
      blocks.push([]);
      left = room;
    }
    blocks.at(-1)!.push(i + 1);
    left -= width + gap;
  }
  return blocks;
}

function blockLines(table: TextTable, nameWidth: number, columns: readonly number[]): string[] {
  const widths = columns.map((column) => widthOf(table, column));
  const line = (row: readonly string[]): string[] => {
    const [name, ...more] = wrap(row[0]!, nameWidth);
    const cells = columns.map((column, i) =>
      table.texts?.has(column) ? row[column]!.padEnd(widths[i]!) : row[column]!.padStart(widths[i]!),
    );
    return [[name!.padEnd(nameWidth), ...cells].join(" ".repeat(gap)).trimEnd(), ...more.map((part) => `  ${part}`)];
  };
  const rule = [nameWidth, ...widths].map((width) => "─".repeat(width)).join(" ".repeat(gap));
  return [...line(table.header), rule, ...table.rows.flatMap(line)];
}

function stacked(
  header: readonly string[],
  row: readonly string[],
  columns: number,
  bold: (text: string) => string,
): string[] {
  const names = header.slice(1);
  const width = Math.max(...names.map((name) => name.length));
  const isNarrow = 2 + width + gap + Math.max(...row.slice(1).map((cell) => cell.length)) > columns;
  const cell = (name: string, i: number): string[] =>
    isNarrow
      ? [
          ...wrap(name, columns - 2).map((part) => `  ${part}`),
          ...wrap(row[i + 1]!, columns - 4).map((part) => `    ${part}`),
        ]
      : [`  ${name.padEnd(width)}${" ".repeat(gap)}${row[i + 1]}`];
  return [...wrap(row[0]!, columns).map(bold), ...names.flatMap(cell)];
}

function widthOf({ header, rows }: TextTable, column: number): number {
  return rows.reduce((most, row) => Math.max(most, row[column]!.length), header[column]!.length);
}

/** The width that names take when they are broken to fit into `most`. */
function brokenWidth(names: readonly string[], most: number): number {
  return Math.max(...names.flatMap((name) => wrap(name, most).map((part, i) => part.length + (i > 0 ? indent : 0))));
}

/** Lines of a text, of which all but the first leave room for an indent. */
function wrap(text: string, columns: number): string[] {
  return wrapLines(text, columns, columns - indent);
}
