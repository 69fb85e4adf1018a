import { bytesText, countText, durationText } from "../compare/text/figures.ts";
import { type TextTable, tableWidth } from "../compare/text/text-table.ts";
import type { RunRecord } from "../store/index.ts";

type ShownColumn = {
  readonly header: string;
  readonly text: (run: RunRecord) => string;
  /** Those of lesser importance are left away first where the terminal is too narrow. */
  readonly importance: number;
  readonly isText?: true;
};

const none = "–";

/** What a listing shows of a run. */
const shown: readonly ShownColumn[] = [
  {
    header: "variant",
    importance: 9,
    text: ({ variant, pretrained }) => `${variant}${pretrained ? " (self-pretrained)" : ""}`,
  },
  { header: "task", importance: 8, isText: true, text: ({ taskLabel }) => taskLabel },
  { header: "seed", importance: 5, text: ({ seed }) => String(seed) },
  { header: "ranked by", importance: 6, isText: true, text: ({ metric }) => metric },
  { header: "score", importance: 9, text: ({ score }) => figure(score) },
  { header: "loss", importance: 4, text: ({ loss }) => figure(loss) },
  { header: "length", importance: 3, text: ({ trainLength }) => String(trainLength) },
  { header: "steps", importance: 2, text: ({ steps }) => String(steps) },
  { header: "params", importance: 2, text: ({ parameters }) => known(parameters, countText) },
  { header: "train tok/s", importance: 3, text: (run) => known(run.trainTokensPerSecond, countText) },
  { header: "memory", importance: 2, text: ({ peakBytes }) => known(peakBytes, bytesText) },
  { header: "time", importance: 3, text: ({ seconds }) => known(seconds, durationText) },
  {
    header: "finished",
    importance: 1,
    isText: true,
    text: ({ finishedAt }) => finishedAt.slice(0, 16).replace("T", " "),
  },
];

/** Runs as a table with as many columns as a terminal has room for, and the headers of those that are left away. */
export function runTable(runs: readonly RunRecord[], columns: number): { table: TextTable; hidden: string[] } {
  let chosen = [...shown];
  const tableOf = (): TextTable => ({
    title: "",
    header: chosen.map(({ header }) => header),
    rows: runs.map((run) => chosen.map(({ text }) => text(run))),
    texts: new Set(chosen.flatMap(({ isText }, i) => (isText ? [i] : []))),
  });
  let table = tableOf();
  while (tableWidth(table) > columns) {
    const least = Math.min(...chosen.map(({ importance }) => importance));
    if (least >= leastNeeded) break;
    const last = chosen.findLastIndex(({ importance }) => importance === least);
    chosen = chosen.filter((_, i) => i !== last);
    table = tableOf();
  }
  return { table, hidden: shown.filter((column) => !chosen.includes(column)).map(({ header }) => header) };
}

/** Columns of this importance stay; without room for them, runs are shown as lists. */
const leastNeeded = 8;

/** Any rows as a table, with values as they are. */
export function plainTable(rows: readonly Readonly<Record<string, unknown>>[], header: readonly string[]): TextTable {
  const isText = (name: string) => rows.some((row) => typeof row[name] === "string");
  return {
    title: "",
    header,
    rows: rows.map((row) => header.map((name) => valueText(row[name]))),
    texts: new Set(header.flatMap((name, i) => (isText(name) ? [i] : []))),
  };
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return none;
  if (typeof value === "object") return JSON.stringify(value);
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value);
}

function figure(value: number | null): string {
  if (value === null) return none;
  return Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3);
}

function known(value: number | null, text: (value: number) => string): string {
  return value === null ? none : text(value);
}
