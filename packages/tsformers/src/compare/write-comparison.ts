import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-file.ts";
import type { Comparison } from "./results.ts";

/** Names of the files of a comparison's folder. */
export const comparisonFiles = { results: "results.json", settings: "settings.json", report: "report.html" } as const;

/** Writes all files of a comparison, each whole. */
export async function writeComparison(folder: string, comparison: Comparison): Promise<void> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;
  await writeFileAtomic(join(folder, comparisonFiles.results), json(comparison));
  await writeFileAtomic(join(folder, comparisonFiles.settings), json(comparison.settings));
}
