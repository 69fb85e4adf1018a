import type { Comparison } from "../results.ts";
import { budgetText } from "../text/budget-text.ts";
import { counted } from "../text/sentences.ts";

/** A table as texts. The first column names the row. */
export type MarkdownTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
};

/**
 * A comparison in GitHub's Markdown: what was compared, where and under which budget; the tables; sentences below them.
 *
 * @param sentences each becomes an item of a list
 */
export function markdownOf(
  comparison: Comparison,
  tables: readonly MarkdownTable[],
  sentences: readonly string[],
): string {
  const { title, command, environment, seeds, complete, finishedAt, tasks } = comparison;
  const { cpu, cores, memoryBytes, tsformers, onnxruntime } = environment;
  const machine = `${cpu}, ${cores} ${cores === 1 ? "core" : "cores"}, ${(memoryBytes / 1e9).toFixed(1)} GB`;
  const facts = [
    `Tasks: ${tasks.map(({ label }) => label).join(", ")}`,
    `Budget of each run: ${budgetText(comparison)}; ${counted(seeds, "seed")}`,
    `Machine: ${machine}; tsformers ${tsformers}, ONNX Runtime ${onnxruntime}`,
    `${complete ? "Finished" : "Not complete; as of"} ${finishedAt}`,
  ];
  const parts = [
    `# ${escaped(title)}`,
    listOf(facts),
    codeBlock(command),
    ...tables.map((table) => `## ${escaped(table.title)}\n\n${tableText(table)}`),
    ...(sentences.length === 0 ? [] : [`## What this says\n\n${listOf(sentences)}`]),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Columns of one width, so that the source reads as a table, too; widths of very long cells are left as they are. */
export function tableText({ header, rows }: MarkdownTable): string {
  const all = [header, ...rows].map((row) => header.map((_, column) => escaped(row[column] ?? "")));
  const widths = header.map((_, column) =>
    Math.max(3, ...all.map((row) => row[column]!.length).filter((width) => width <= widestPadded)),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const padded = (row: readonly string[]) =>
    line(row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))));
  const rule = line(widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)));
  return [padded(all[0]!), rule, ...all.slice(1).map(padded)].join("\n");
}

const widestPadded = 60;

function listOf(items: readonly string[]): string {
  return items.map((item) => `- ${paragraph(item)}`).join("\n");
}

/** A text that begins a line: what would make it a list, a heading or a quotation is escaped, too. */
function paragraph(text: string): string {
  return escaped(text)
    .replace(/^([-+]|#+)(?=\s)|^>/, "\\$&")
    .replace(/^(\d+)([.)])(?=\s)/, "$1\\$2");
}

/**
 * A text as it stands: what Markdown or HTML would take for markup is escaped, line breaks become `<br>`. An underscore between letters and digits is no
 * markup, and stays readable.
 */
export function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replace(/[\\`*[\]|~$]/g, "\\$&")
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, "\\_")
    .replace(/\r\n|\r|\n/g, "<br>");
}

/** A block whose fence is longer than any in the text. */
function codeBlock(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(Math.max(3, longest + 1));
  return `${fence}sh\n${text}\n${fence}`;
}
