import { drawPanels, type Panel } from "../attention/patterns/draw.ts";
import type { Runs } from "../attention/patterns/pattern.ts";
import type { TaskExample } from "../tasks/example.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

type Terms = readonly (readonly [term: string, text: string])[];

/** What is told of one thing that has a name, as data, so that it can be kept: only how it is laid out follows from the terminal. */
export type Told = {
  readonly name: string;
  /** What it is: `model`, `system`. */
  readonly kind: string;
  readonly summary: string;
  readonly facts: Terms;
  /** A row of a task. */
  readonly example?: TaskExample;
  /** What a pattern shows, for each query of its panels. */
  readonly pictures?: { readonly length: number; readonly panels: readonly ToldPanel[] };
  readonly sections: readonly { readonly title: string; readonly terms?: Terms; readonly points?: readonly string[] }[];
  /** What `--json` prints of it. */
  readonly json: unknown;
};

type ToldPanel = { readonly title: string; readonly rows: readonly Runs[] };

/** Panels as data. */
export function toldPanels(panels: readonly Panel[], length: number): ToldPanel[] {
  return panels.map(({ title, pattern }) => ({
    title,
    rows: Array.from({ length }, (_, query) => pattern.keys(query, length)),
  }));
}

/** Prints all that is told under one name. */
export function printTold(
  told: readonly Told[],
  { json, ascii }: { readonly json?: true; readonly ascii?: true },
  terminal: Terminal,
): void {
  const unicode = terminal.unicode && !ascii;
  terminal.out(json ? toldJson(told) : toldText(told, { ...terminal, unicode }));
}

function toldText(told: readonly Told[], terminal: Terminal): string {
  return told.map((one) => textOf(one, terminal)).join("\n\n");
}

function toldJson(told: readonly Told[]): string {
  return JSON.stringify({ descriptions: told.map(({ json }) => json) }, null, 2);
}

function textOf({ name, kind, summary, facts, example, pictures, sections }: Told, terminal: Terminal): string {
  const { columns } = terminal;
  const list = (terms: Terms) => definitionList(terms, columns);
  const text = [
    `${terminal.bold(name)} (${kind})`,
    wrapText(summary, columns),
    "",
    list(facts),
    ...(example === undefined ? [] : ["", terminal.bold("Example"), ...exampleLines(example, columns)]),
    ...sections.flatMap(({ title, terms = [], points = [] }) => [
      "",
      terminal.bold(title),
      ...(terms.length === 0 ? [] : [list(terms)]),
      ...points.map((line) => `- ${wrapText(line, columns - 2, 2)}`),
    ]),
  ].join("\n");
  return pictures === undefined ? text : `${text}\n\n${drawn(pictures, terminal)}`;
}

/** Panels beyond this many are named only. */
const mostPanels = 4;

/** The pictures as text. */
function drawn({ length, panels }: NonNullable<Told["pictures"]>, { columns, unicode }: Terminal): string {
  const shown = panels.slice(0, mostPanels).map(({ title, rows }) => ({
    title,
    pattern: { keys: (query: number) => rows[query]! },
  }));
  const more = panels.length - mostPanels;
  const rest = more > 0 ? [`${more} more; --svg FILE draws all`] : [];
  return [drawPanels(shown, { length, columns, unicode }), ...rest].join("\n");
}

/** Longer rows are cut in the middle, where the least is scored. */
const shownCharacters = 1200;

function exampleLines({ input, expected, scored }: TaskExample, columns: number): string[] {
  const half = shownCharacters / 2;
  const text = input.length <= shownCharacters ? input : `${input.slice(0, half)} … ${input.slice(-half)}`;
  return [
    ...text.split("\n").map((line) => `  ${wrapText(line, columns - 2, 2)}`),
    ...(expected === undefined ? [] : [`  expected: ${wrapText(expected, columns - 12, 12)}`]),
    `  scored: ${wrapText(scored, columns - 10, 10)}`,
  ];
}
