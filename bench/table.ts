import type { Row } from "./bench.ts";

const headings = ["bench", "metric", "ours", "peer", "unit", "ratio", "peer is"] as const;

/** Columns that hold numbers, set flush right. */
const numeric = new Set<number>([2, 3, 5]);

/** The rows as an aligned table; a missing number is a dash. */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map(({ name, metric, unit, ours, peer, peerName, ratio }) => [
    name,
    metric,
    formatNumber(ours),
    formatNumber(peer),
    unit,
    ratio === null ? "–" : `${ratio.toFixed(2)}×`,
    peerName ?? "–",
  ]);
  const lines = [[...headings], ...cells];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const format = (line: readonly string[]): string =>
    line
      .map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd();
  return lines.map(format).join("\n");
}

/** Three significant digits, and none lost before the point. */
export function formatNumber(value: number | null): string {
  if (value === null) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
