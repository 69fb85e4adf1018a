import { lossText } from "./figures.ts";
import type { Comparison } from "./results.ts";
import { summarise } from "./summaries.ts";
export type TextTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
};
export function comparisonTables(comparison: Comparison): { readonly tables: TextTable[]; readonly notes: string[] } {
  const tables = comparison.tasks.map((task) => ({
    title: task.label,
    header: ["variant", ...task.metrics.map((m) => m.name), "tok/s"],
    rows: summarise(comparison)
      .filter((s) => s.task === task.label)
      .map((s) => [
        s.variant,
        ...task.metrics.map((m) => (s.metrics[m.name] === undefined ? "-" : lossText(s.metrics[m.name]!))),
        String(Math.round(s.trainTokensPerSecond?.mean ?? 0)),
      ]),
  }));
  return { tables, notes: [] };
}
/**
 * Renders a table as lines no wider than `columns`. If it does not fit, every row becomes a small list instead.
 */
export function renderTable(
  { title, header, rows }: TextTable,
  columns: number,
  bold: (text: string) => string,
): string {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]!.length)));
  const total = widths.reduce((sum, width) => sum + width + 2, -2);
  if (total > columns) return [bold(title), ...rows.flatMap((row) => stacked(header, row, bold))].join("\n");
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [bold(title), line(header), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n");
}

function stacked(header: readonly string[], row: readonly string[], bold: (text: string) => string): string[] {
  const width = Math.max(...header.slice(1).map((name) => name.length));
  return [bold(row[0]!), ...header.slice(1).map((name, i) => `  ${name.padEnd(width)}  ${row[i + 1]}`)];
}
