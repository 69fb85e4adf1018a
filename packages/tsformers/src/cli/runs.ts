import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { csvOf } from "../compare/exports/csv.ts";
import { parquetOf } from "../compare/exports/parquet.ts";
import { shortListText } from "../compare/text/sentences.ts";
import { renderTable } from "../compare/text/text-table.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { isRunFolder } from "../run/folder.ts";
import { expectation } from "../schema/nearest.ts";
import { present } from "../schema/present.ts";
import { requireColumn } from "../store/columns.ts";
import {
  type Columns,
  type ColumnType,
  type Filter,
  openStore,
  type RunRecord,
  runColumns,
  type Store,
} from "../store/index.ts";
import { parseCount, parseList, runFlags } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import { columnNamed, conditionsIn } from "./run-conditions.ts";
import { plainTable, runTable } from "./run-table.ts";
import { type Terminal, wrapText } from "./terminal.ts";

type RunsFlags = {
  readonly task?: string[];
  readonly model?: string[];
  readonly mixer?: string[];
  readonly where?: readonly string[];
  readonly sort?: string;
  readonly reverse?: true;
  readonly limit?: number;
  readonly columns?: string[];
  readonly allColumns?: true;
  readonly sql?: string;
  readonly json?: true;
  readonly csv?: true;
  readonly parquet?: string;
};

/** `tsformers runs`: the finished runs of all comparisons in a folder. */
export function runsCommand(terminal: Terminal): Command {
  return new Command("runs")
    .argument("[dir]", "folder of runs, the --out of compare", "runs")
    .option("--task <a,b,…>", "only of these tasks, by name or label", parseNames)
    .option("--model <a,b,…>", "only of these models", parseNames)
    .option("--mixer <a,b,…>", "only with these mixers", parseNames)
    .option(
      "--where <conditions>",
      "only where these hold, with commas between them: a column or a setting of train, one of = != < <= > >=, and a value; several times for more",
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option("--sort <column>", "by a column, smallest first; by score, best first. Default: newest first")
    .option("--reverse", "the other way round")
    .option("--limit <n>", "show at most this many", parseCount())
    .option("--columns <a,b,…>", "show these columns", parseNames)
    .option("--all-columns", "show all columns that there are")
    .option("--sql <select>", "the result of a SELECT over the tables runs and costs, instead")
    .option("--json", "print JSON")
    .option("--csv", "print CSV, with all columns unless --columns names some")
    .option("--parquet <file>", "write a Parquet file, with all columns unless --columns names some")
    .addHelpText(
      "after",
      `
${wrapText(`Columns: ${Object.keys(runColumns).join(", ")}.`, terminal.columns)}
Values within config, metrics, byLength and taskSettings have paths, such as metrics.accuracy. In conditions
"none" is no value, and values with commas stand in brackets: 'mixer=[local,routing]'.
Runs of \`tsformers train\` are not listed: they have no score on the test split, which \`tsformers eval\` measures.

Examples:
  tsformers runs
  tsformers runs --task listops --sort score --limit 10
  tsformers runs --mixer softmax,performer --where 'length>=1024,seed=0'
  tsformers runs --where mixer.features=16 --columns variant,score,config.model.mixer.features
  tsformers runs results --csv > runs.csv
  tsformers runs --sql "SELECT mixer, avg(score) AS mean FROM runs GROUP BY mixer ORDER BY mean DESC"`,
    )
    .action(async (folder: string, options: RunsFlags) => {
      requireOneForm(options);
      if (!existsSync(folder))
        throw new UsageError(`${folder}: no such folder; \`tsformers compare --out ${folder}\` makes runs there`);
      const store = await openStore(folder, { onNote: (text) => terminal.log(text) });
      try {
        if (options.sql !== undefined) return await showData(dataOf(store.query(options.sql)), options, terminal);
        const runs = store.list(filterOf(options, store));
        if (isTable(options))
          showRuns(runs, { folder, isFiltered: isFiltered(options), all: () => store.list().length }, terminal);
        else await showData(chosenData(runs, options.columns), options, terminal);
      } finally {
        store.close();
      }
    });
}

/** Items separated by commas, at least one. */
function parseNames(text: string): string[] {
  const names = parseList(text);
  if (names.length === 0) throw new InvalidArgumentError("Expected at least one name.");
  return names;
}

function requireOneForm({ json, csv, parquet, columns, allColumns, ...others }: RunsFlags): void {
  const forms = Object.entries({ json, csv, parquet }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`],
  );
  if (forms.length > 1) throw new UsageError(`${forms.join(" and ")}: give one of them`);
  if (parquet !== undefined && statSync(parquet, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--parquet ${parquet}: is a folder, expected a file`);
  if (columns !== undefined && allColumns) throw new UsageError("--columns and --all-columns: give one of them");
  const { sql, ...filters } = others;
  const besides = Object.keys({ ...filters, ...present({ columns, allColumns }) });
  if (sql !== undefined && besides.length > 0)
    throw new UsageError(`--sql says all that is wanted; leave away ${besides.map(flagOf).join(", ")}`);
}

function flagOf(attribute: string): string {
  return `--${attribute.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Whether runs are shown as people read them. */
function isTable({ json, csv, parquet, columns, allColumns }: RunsFlags): boolean {
  return [json, csv, parquet, columns, allColumns].every((option) => option === undefined);
}

function isFiltered({ task, model, mixer, where }: RunsFlags): boolean {
  return [task, model, mixer, where].some((option) => option !== undefined);
}

function filterOf(
  { task, model, mixer, where = [], sort, reverse, limit }: RunsFlags,
  store: Store,
): Filter<RunRecord> {
  const known = store.query("SELECT DISTINCT task, taskLabel, model, mixer FROM runs") as unknown as Known[];
  const match = {
    taskLabel: task && matching("--task", task, known, "taskLabel", (one) => [one.task, one.taskLabel]),
    model: model && matching("--model", model, known, "model", (one) => [one.model]),
    mixer: mixer && matching("--mixer", mixer, known, "mixer", (one) => [one.mixer, ...kindsIn(one.mixer)]),
  };
  const conditions = where.flatMap(conditionsIn);
  for (const { column } of conditions) requireValue("--where", column, store);
  const sortedBy = sort && columnNamed(sort);
  if (sortedBy) requireValue("--sort", sortedBy, store);
  return { match: present(match), where: conditions, ...present({ reverse, limit, sort: sortedBy }) };
}

/**
 * Makes sure that a value within a column of JSON is a setting of `train`, or that some run has it.
 *
 * @throws UsageError with what there is at that place
 */
function requireValue(flag: string, column: string, store: Store): void {
  const [first = "", ...path] = column.split(".");
  if (path.length === 0 || runFlags.some((one) => `config.${one.path.join(".")}` === column)) return;
  requireColumn(column, runColumns);
  const values = store.list().map((run) => run[first as keyof RunRecord]);
  if (values.length === 0 || values.some((value) => valueAt(value, path) !== null)) return;
  const beside = values.map((value) => valueAt(value, path.slice(0, -1)));
  const names = [...new Set(beside.flatMap((value) => (typeof value === "object" ? Object.keys(value ?? {}) : [])))];
  const known = names.length === 0 ? "" : expectation(path.at(-1)!, names);
  throw new UsageError(`${flag}: no run has a value at ${JSON.stringify(column)}${known}`);
}

type Known = Pick<RunRecord, "task" | "taskLabel" | "model" | "mixer">;

/**
 * Values of a column that wanted names stand for.
 *
 * @throws UsageError for a name that no run has, with the nearest
 */
function matching(
  flag: string,
  wanted: readonly string[],
  known: readonly Known[],
  column: keyof Known,
  namesOf: (one: Known) => readonly string[],
): string[] {
  const names = [...new Set(known.flatMap(namesOf))];
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined && names.length > 0)
    throw new UsageError(`${flag}: no run has ${JSON.stringify(unknown)}${expectation(unknown, names)}`);
  return [
    ...new Set(known.filter((one) => namesOf(one).some((name) => wanted.includes(name))).map((one) => one[column])),
  ];
}

/** `local` and `routing` of `local*2,routing*2`. */
function kindsIn(mixers: string): string[] {
  return mixers.split(",").map((kind) => kind.replace(/\*\d+$/, ""));
}

/** Runs for people: as many columns as there is room for. */
function showRuns(
  runs: readonly RunRecord[],
  about: { readonly folder: string; readonly isFiltered: boolean; all(): number },
  terminal: Terminal,
): void {
  if (runs.length === 0) {
    const all = about.isFiltered ? about.all() : 0;
    terminal.log(
      all === 0
        ? `${about.folder}: no finished runs of comparisons; \`tsformers compare --out ${about.folder}\` makes some`
        : `${about.folder}: none of ${all} runs is like that`,
    );
    sayOthers(about.folder, terminal);
    return;
  }
  const { table, hidden } = runTable(runs, terminal.columns);
  terminal.out(renderTable(table, terminal.columns, terminal.bold));
  const more = hidden.length === 0 ? "" : `; not shown for lack of room: ${hidden.join(", ")}`;
  terminal.log(terminal.dim(`\n${runs.length} ${runs.length === 1 ? "run" : "runs"}${more}`));
  sayOthers(about.folder, terminal);
}

/** Runs of comparisons end with the hash of what they are; others are of `train`. */
const ofComparison = /-[0-9a-f]{8}(-own-inputs)?$/;

function sayOthers(folder: string, terminal: Terminal): void {
  const others = readdirSync(folder).filter((name) => !ofComparison.test(name) && isRunFolder(join(folder, name)));
  if (others.length === 0) return;
  const [example] = others;
  terminal.log(
    terminal.dim(
      `not listed, as \`tsformers train\` measures nothing on the test split: ${shortListText(others.sort())}; \`tsformers eval ${join(folder, example!)}\` does`,
    ),
  );
}

/** Rows with columns of known types. */
type Data = { readonly rows: readonly Row[]; readonly columns: Columns<Row> };
type Row = Readonly<Record<string, unknown>>;

/** The columns of runs that were chosen, or all. @throws UnknownColumn */
function chosenData(runs: readonly RunRecord[], columns: readonly string[] | undefined): Data {
  if (columns === undefined) return { rows: runs, columns: runColumns };
  const paths = columns.map((name) => [name, columnNamed(name)] as const);
  for (const [, column] of paths) requireColumn(column, runColumns);
  const rows = runs.map((run) =>
    Object.fromEntries(paths.map(([name, column]) => [name, valueAt(run, column.split("."))])),
  );
  return dataOf(rows, columns);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  const found = path.reduce<unknown>((inner, key) => (inner as Row | null | undefined)?.[key], value);
  return found ?? null;
}

/** Rows whose columns have the types of what is in them. */
function dataOf(rows: readonly Row[], names: readonly string[] = Object.keys(rows[0] ?? {})): Data {
  return { rows, columns: Object.fromEntries(names.map((name) => [name, typeOf(rows.map((row) => row[name]))])) };
}

function typeOf(values: readonly unknown[]): ColumnType {
  const types = new Set(values.filter((value) => value !== null).map((value) => typeof value));
  if (types.has("object")) return "json";
  if (types.size !== 1 || types.has("string")) return "text";
  return types.has("boolean") ? "boolean" : "real";
}

/** Data for programs, or as a table of values as they are. */
async function showData({ rows, columns }: Data, { json, csv, parquet }: RunsFlags, terminal: Terminal): Promise<void> {
  if (json) return terminal.out(JSON.stringify({ runs: rows }, null, 2));
  if (csv) return terminal.write(csvOf(rows, columns));
  if (parquet !== undefined) {
    await writeFileAtomic(parquet, await parquetOf(rows, columns));
    return terminal.log(`${parquet}: ${rows.length} rows`);
  }
  if (rows.length === 0) return terminal.log("no rows");
  terminal.out(renderTable(plainTable(rows, Object.keys(columns)), terminal.columns, terminal.bold));
}
