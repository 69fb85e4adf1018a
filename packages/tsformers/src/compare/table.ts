import { bytesText, countText, lossText, multipleText } from "./figures.ts";
import { type Comparison, summarise, type VariantSummary } from "./results.ts";

/** A table as text, not yet fitted to a terminal. The first column names the row. */
export type TextTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
};

/** The tables that a comparison prints: quality and cost, and loss by length, with notes on missing cells. */
export function comparisonTables(comparison: Comparison): { readonly tables: TextTable[]; readonly notes: string[] } {
  const { metrics, lengths, trainLength } = comparison;
  const summaries = summarise(comparison);
  const quality: TextTable = {
    title: `Quality at length ${trainLength} (test split) and cost`,
    header: [
      "variant",
      ...metrics.map(({ label }) => shortLabel(label)),
      "train tok/s",
      "eval tok/s",
      "memory",
      "params",
    ],
    rows: summaries.map((summary) => [
      summary.variant,
      ...metrics.map(({ name }) => optional(summary.metrics[name], lossText)),
      optional(summary.trainTokensPerSecond, ({ mean }) => countText(mean)),
      optional(summary.evalTokensPerSecond, ({ mean }) => countText(mean)),
      optional(summary.peakBytes, ({ mean }) => bytesText(mean)),
      optional(summary.parameters, countText),
    ]),
  };
  const byLength: TextTable = {
    title: "Loss (nats per token) by length, as a multiple of the training length",
    header: ["variant", ...lengths.map((length) => `${multipleText(length, trainLength)} (${length})`)],
    rows: summaries.map(({ variant, byLength: cells }) => [
      variant,
      ...cells.map((cell) => ("loss" in cell ? lossText(cell.loss) : shortReason(cell.missing))),
    ]),
  };
  return { tables: [quality, byLength], notes: notesOf(summaries) };
}

/** Why cells are empty: each reason once, then every failed run. */
export function notesOf(summaries: readonly VariantSummary[]): string[] {
  const reasons = summaries.flatMap(({ byLength, seeds }) =>
    seeds === 0 ? [] : byLength.flatMap((cell) => ("missing" in cell ? [`${cell.length}: ${cell.missing}`] : [])),
  );
  const failures = summaries.flatMap(({ variant, failures }) => failures.map((failure) => `${variant}, ${failure}`));
  return [...new Set(reasons), ...failures.map((failure) => `failed: ${failure}`)];
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

function shortLabel(label: string): string {
  return label.replace(/ \(.*\)$/, "").replace("bits per character", "bits/char");
}

function shortReason(reason: string): string {
  return reason === "failed" ? "failed" : "too short";
}

function optional<T>(value: T | undefined, text: (value: T) => string): string {
  return value === undefined ? "–" : text(value);
}
