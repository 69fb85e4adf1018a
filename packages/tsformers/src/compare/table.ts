import { crossoversOf, crossoverText } from "./crossovers.ts";
import { bytesText, countText, lossText, multipleText } from "./figures.ts";
import { type Comparison, type StepCost, summarise, type VariantSummary } from "./results.ts";

/** A table as text, not yet fitted to a terminal. The first column names the row. */
export type TextTable = {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
};

/**
 * What a comparison prints: tables of quality and cost, of loss by length, and of what a step costs by length; below them the lengths from
 * which on one variant is better than another, and notes on missing cells.
 */
export function comparisonTables(comparison: Comparison): {
  readonly tables: TextTable[];
  readonly crossovers: string[];
  readonly notes: string[];
} {
  const { metrics, lengths, trainLength } = comparison;
  const summaries = summarise(comparison);
  const quality: TextTable = {
    title: `Quality at ${trainLengthText(comparison)} (test split) and cost`,
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
  const header = ["variant", ...lengths.map((length) => `${multipleText(length, trainLength)} (${length})`)];
  const byLength: TextTable = {
    title: "Loss (nats per token) by length, as a multiple of the training length",
    header,
    rows: summaries.map(({ variant, byLength: cells }) => [
      variant,
      ...cells.map((cell) => ("loss" in cell ? lossText(cell.loss) : cell.missing === "failed" ? "failed" : none)),
    ]),
  };
  const stepTable = (title: string, text: (step: MeasuredStep) => string): TextTable => ({
    title,
    header,
    rows: summaries.map(({ variant, steps = [] }) => [
      variant,
      ...lengths.map((length) => {
        const step = steps.find((one) => one.length === length);
        return step === undefined || "missing" in step ? none : text(step);
      }),
    ]),
  });
  const costs = [
    stepTable("Tokens per second of a step forward and backward, by length", (step) => countText(step.tokensPerSecond)),
    stepTable("Peak memory of such a step, by length", (step) => bytesText(step.peakBytes)),
  ];
  return {
    tables: [quality, byLength, ...(summaries.some(({ steps }) => steps !== undefined) ? costs : [])],
    crossovers: crossoversOf(summaries).map(crossoverText),
    notes: notesOf(summaries),
  };
}

type MeasuredStep = Extract<StepCost, { tokensPerSecond: number }>;

/** Stands for what is missing. */
const none = "–";

/** `length 64`, or what is said where variants were trained at different ones. */
export function trainLengthText({ runs, trainLength }: Comparison): string {
  const isCommon = runs.every(({ config }) => config.length === undefined || config.length === trainLength);
  return isCommon ? `length ${trainLength}` : "the training length of each";
}

/** Why cells are empty, and what must be known of others: each reason once, then every failed run. */
export function notesOf(summaries: readonly VariantSummary[]): string[] {
  const finished = summaries.filter(({ seeds }) => seeds > 0);
  const reasons = new Map<string, { variants: Set<string>; places: Set<string> }>();
  const add = (variant: string, place: string, text: string | undefined): void => {
    if (text === undefined) return;
    const known = reasons.get(text) ?? { variants: new Set(), places: new Set() };
    known.variants.add(variant);
    known.places.add(place);
    reasons.set(text, known);
  };
  for (const { variant, byLength, steps = [] } of finished) {
    for (const cell of byLength) add(variant, `${cell.length}`, "missing" in cell ? cell.missing : cell.note);
    for (const step of steps) if ("missing" in step) add(variant, `a step at ${step.length}`, step.missing);
  }
  const told = [...reasons].map(([text, { variants, places }]) => {
    const whose = variants.size === finished.length ? "" : `${[...variants].join(", ")} at `;
    return `${whose}${[...places].join(", ")}: ${text}`;
  });
  const failures = summaries.flatMap(({ variant, failures }) => failures.map((failure) => `${variant}, ${failure}`));
  return [...told, ...failures.map((failure) => `failed: ${failure}`)];
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

/** A label as it stands above a column: `loss`, `bits/char`, `ppl/word`. */
export function shortLabel(label: string): string {
  return label
    .replace(/ \(.*\)$/, "")
    .replace("bits per character", "bits/char")
    .replace(/^bits per /, "bits/")
    .replace(/^perplexity per /, "ppl/");
}

function optional<T>(value: T | undefined, text: (value: T) => string): string {
  return value === undefined ? none : text(value);
}
