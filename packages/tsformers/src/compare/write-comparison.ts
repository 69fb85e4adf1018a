import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { writeExports } from "./exports/write-exports.ts";
import { renderReport } from "./report/render-report.ts";
import type { Comparison } from "./results.ts";
import { adviceOf } from "./text/advice.ts";
import { comparisonTables } from "./text/table.ts";

/** Names of the files of a comparison's folder that people are told of. */
export const comparisonFiles = { settings: "settings.json", report: "report.html" } as const;

/** Writes all files of a comparison, each whole: results, settings, report, tables as Markdown, CSV and Parquet. */
export async function writeComparison(folder: string, comparison: Comparison): Promise<void> {
  const { tables, crossovers, notes } = comparisonTables(comparison);
  await writeExports(folder, comparison, tables, [...adviceOf(comparison), ...crossovers, ...notes]);
  const settings = `${JSON.stringify(comparison.settings, null, 1)}\n`;
  await writeFileAtomic(join(folder, comparisonFiles.settings), settings);
  await writeFileAtomic(join(folder, comparisonFiles.report), renderReport(comparison));
}
