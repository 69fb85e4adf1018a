import { existsSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { tasks } from "../catalogue/tasks.ts";
import { describeEnvironment } from "../compare/execution/environment.ts";
import { answerOf, labelsOfTasks, type Question } from "../compare/statistics/advise.ts";
import { answerText } from "../compare/text/advise-text.ts";
import { renderTable } from "../compare/text/text-table.ts";
import { positionCount } from "../schema/count.ts";
import { expectation } from "../schema/nearest.ts";
import { present } from "../schema/present.ts";
import type { CostRecord, RunRecord } from "../store/record.ts";
import { openStore } from "../store/store.ts";
import { parseCount } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import { type Terminal, wrapText } from "./terminal.ts";

type Flags = {
  readonly length: number;
  readonly task?: string;
  readonly memory?: number;
  readonly causal?: true;
  readonly store: string;
  readonly json?: true;
};

/** `tsformers advise`: which variants suit a length, a memory and a task, from what was measured. */
export function adviseCommand(terminal: Terminal): Command {
  return new Command("advise")
    .requiredOption("--length <n>", "tokens of a row", parseCount(1, positionCount()))
    .option("--task <name>", "what is learned. Default: the task of which most is measured")
    .option("--memory <size>", "what a training step may take: 4GB, 4GiB, 500MB", parseBytes)
    .option("--causal", "only variants whose outputs depend on earlier inputs only")
    .option("--store <folder>", "folder of runs and comparisons", "runs")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Nothing is measured or trained: times and memory come from steps that comparisons have measured, beyond measured lengths from a
fit to them; quality comes from finished runs. What is not known is said, with the command that would settle it.

Examples:
  tsformers compare --measure-only --task text --lengths 1024,2048,4096
  tsformers advise --length 8192
  tsformers advise --length 8192 --task text --memory 4GB --causal
  tsformers advise --length 2048 --task listops --store experiments --json`,
    )
    .action(async ({ store: folder, json, length, task, memory, causal }: Flags, command: Command) => {
      if (command.getOptionValueSource("store") === "cli" && !existsSync(folder))
        throw new UsageError(`${folder}: no such folder; \`tsformers compare --out ${folder}\` makes runs there`);
      const question: Question = { length, ...present({ task, memoryBytes: memory, causal }) };
      const { costs, runs } = await knownIn(folder, (note) => terminal.log(note));
      if (task !== undefined) requireTask(task, [...costs, ...runs]);
      const answer = answerOf(question, { costs, runs, cpu: describeEnvironment().cpu });
      const { advice, table, notes, commands, isTooFar } = answerText(answer, folder);
      if (json) {
        terminal.out(JSON.stringify({ ...answer, advice, notes, commands }, null, 2));
        return;
      }
      const wrapped = (text: string) => wrapText(text, terminal.columns);
      const lines = commands.map(({ command, purpose }) => `  ${command}\n      ${purpose}`);
      const [headline, ...rest] = isTooFar ? advice : [];
      if (headline !== undefined) terminal.out(`${wrapped(headline)}\n${lines.join("\n")}\n`);
      for (const sentence of isTooFar ? rest : advice) terminal.out(wrapped(sentence));
      if (table !== undefined) terminal.out(`\n${renderTable(table, terminal.columns, terminal.bold)}`);
      if (notes.length > 0) terminal.out(`\n${notes.map((note) => terminal.dim(wrapped(note))).join("\n")}`);
      if (!isTooFar && commands.length > 0) terminal.out(`\nTo know more:\n${lines.join("\n")}`);
    });
}

/** @throws UsageError with the nearest name, of the catalogue or of a task that was measured */
function requireTask(task: string, records: readonly (CostRecord | RunRecord)[]): void {
  const labels = [...labelsOfTasks(records).values(), ...records.map(({ taskLabel }) => taskLabel)];
  const known = [...new Set([...Object.keys(tasks), ...labels])];
  if (!known.includes(task))
    throw new UsageError(`--task: unknown task ${JSON.stringify(task)}${expectation(task, known)}`);
}

/** All measured costs and runs of a store, as each comparison has them; none of a folder that is not there yet. */
async function knownIn(
  folder: string,
  onNote: (text: string) => void,
): Promise<{ costs: CostRecord[]; runs: RunRecord[] }> {
  if (!existsSync(folder)) return { costs: [], runs: [] };
  const store = await openStore(folder, { onNote });
  try {
    const rows = store.query("SELECT comparison FROM comparedCosts UNION SELECT comparison FROM comparedRuns");
    const comparison = rows.map((row) => String(row.comparison));
    return { costs: store.costs({ match: { comparison } }), runs: store.list({ match: { comparison } }) };
  } finally {
    store.close();
  }
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Less than any step takes: a forgotten unit. */
const leastBytes = 1e6;

/** `4GB`, `4 GiB`, `500MB`, `1.5gb`; a bare number is bytes. @throws InvalidArgumentError */
export function parseBytes(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit.toLowerCase()];
  const bytes = Number(digits) * (factor ?? Number.NaN);
  const example = "Expected a size such as 4GB, 4GiB or 500MB";
  if (!(bytes > 0)) throw new InvalidArgumentError(`${example}.`);
  if (bytes < leastBytes) throw new InvalidArgumentError(`${example}; no step fits ${bytes} bytes.`);
  return bytes;
}
