import { basename, join, resolve } from "node:path";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { makeFolder } from "../../io/make-folder.ts";
import type { Comparison } from "../results.ts";
import { csvOf } from "./csv.ts";
import { type MarkdownTable, markdownOf } from "./markdown.ts";
import { parquetOf } from "./parquet.ts";
import { tidyCostColumns, tidyCosts, tidyRunColumns, tidyRuns } from "./tidy.ts";

/** Paths of what a comparison is written to. */
export type ExportPaths = {
  /** The {@link Comparison} itself. */
  readonly results: string;
  readonly markdown: string;
  /** A line for each run, length and metric; also as Parquet. */
  readonly runs: string;
  readonly runsParquet: string;
  /** A line for each task, variant and length. */
  readonly costs: string;
};

export function exportPaths(folder: string): ExportPaths {
  return {
    results: join(folder, "results.json"),
    markdown: join(folder, "table.md"),
    runs: join(folder, "runs.csv"),
    runsParquet: join(folder, "runs.parquet"),
    costs: join(folder, "costs.csv"),
  };
}

/**
 * Writes a comparison for people and programs, each file in one step. The results come first: whatever happens then, they are there.
 *
 * @param folder of the comparison; made if there is none
 * @param tables in the order in which Markdown has them
 * @param sentences what stands below the tables
 * @throws FileError when something cannot be written
 */
export async function writeExports(
  folder: string,
  comparison: Comparison,
  tables: readonly MarkdownTable[],
  sentences: readonly string[],
): Promise<ExportPaths> {
  makeFolder(folder);
  const name = basename(resolve(folder));
  const paths = exportPaths(folder);
  await writeFileAtomic(paths.results, `${JSON.stringify(comparison, null, 1)}\n`);
  const [runs, costs] = [tidyRuns(comparison, name), tidyCosts(comparison, name)];
  await writeFileAtomic(paths.markdown, markdownOf(comparison, tables, sentences));
  await writeFileAtomic(paths.runs, csvOf(runs, tidyRunColumns));
  await writeFileAtomic(paths.costs, csvOf(costs, tidyCostColumns));
  await writeFileAtomic(paths.runsParquet, await parquetOf(runs, tidyRunColumns));
  return paths;
}
