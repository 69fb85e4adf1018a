import type { Comparison, StepCost, TaskAbout } from "../results.ts";
import { stateOfCell } from "../statistics/state-of-cell.ts";
import type { VariantSummary } from "../statistics/summaries.ts";
import { lengthHeader, none, optional, smallBytesText } from "./figure-text.ts";
import { bytesText, countText } from "./figures.ts";
import { marker } from "./parity-text.ts";
import { lengthText, ratioText } from "./sentences.ts";
import type { TextTable } from "./text-table.ts";

/** What training took, and what the models are. */
export function costTable({ cells }: Comparison, task: TaskAbout, summaries: readonly VariantSummary[]): TextTable[] {
  const isTrained = summaries.some(({ trainTokensPerSecond }) => trainTokensPerSecond !== undefined);
  const marked = marker(cells, task);
  const rows = summaries.map((summary) => {
    const cell = cells.find((one) => one.task === task.label && one.variant === summary.variant);
    const state = stateOfCell(cell, task.trainLength);
    return [
      marked(summary.variant),
      ...(isTrained
        ? [
            optional(summary.trainTokensPerSecond, ({ mean }) => countText(mean)),
            optional(summary.evalTokensPerSecond, ({ mean }) => countText(mean)),
            optional(summary.peakBytes, ({ mean }) => bytesText(mean)),
          ]
        : []),
      optional(summary.parameters ?? cell?.parameters, countText),
      optional(state?.bytes, smallBytesText),
      optional(cell?.flopsPerToken, countText),
    ];
  });
  const header = [
    "variant",
    ...(isTrained ? ["train tok/s", "eval tok/s", "memory"] : []),
    "params",
    "state",
    "FLOPs/token",
  ];
  if (rows.length === 0) return [];
  return [{ title: `${task.label}: cost at length ${lengthText(task.trainLength)}`, header, rows }];
}

/** Time, memory and operations of a step by length, each also as a multiple of the reference's. */
export function stepTables(
  task: TaskAbout,
  summaries: readonly VariantSummary[],
  reference: string | undefined,
  { withFlops }: { readonly withFlops: boolean },
): TextTable[] {
  const measured = summaries.filter(({ steps }) => steps !== undefined);
  const lengths = [...new Set(measured.flatMap(({ steps = [] }) => steps.map(({ length }) => length)))].sort(
    (a, b) => a - b,
  );
  if (lengths.length === 0) return [];
  const stepAt = (summary: VariantSummary | undefined, length: number): MeasuredStep | undefined => {
    const step = summary?.steps?.find((one) => one.length === length);
    return step === undefined || "missing" in step ? undefined : step;
  };
  const against = measured.find(({ variant }) => variant === reference);
  const compared = against === undefined || measured.length < 2 ? "" : `, and as a multiple of ${reference}`;
  const table = (title: string, text: (value: number) => string, of: (step: MeasuredStep) => number): TextTable => ({
    title: `${task.label}: ${title}${compared}`,
    header: ["variant", ...lengths.map((length) => lengthHeader(length, task.trainLength))],
    rows: measured.map((summary) => [
      summary.variant,
      ...lengths.map((length) => {
        const step = stepAt(summary, length);
        if (step === undefined) return none;
        const theirs = summary === against ? undefined : stepAt(against, length);
        return `${text(of(step))}${theirs === undefined ? "" : ` (${ratioText(of(step) / of(theirs))}×)`}`;
      }),
    ]),
  });
  return [
    table("tokens per second of a step forward and backward", countText, ({ tokensPerSecond }) => tokensPerSecond),
    table("peak memory of such a step", bytesText, ({ peakBytes }) => peakBytes),
    ...(withFlops ? [table("FLOPs per token of such a step", countText, ({ flopsPerToken }) => flopsPerToken)] : []),
  ];
}

/** The longest length at which a step was measured, or 0. */
export function longestStep(summaries: readonly VariantSummary[]): number {
  return Math.max(
    0,
    ...summaries.flatMap(({ steps = [] }) => steps.flatMap((step) => ("missing" in step ? [] : step.length))),
  );
}

type MeasuredStep = Extract<StepCost, { tokensPerSecond: number }>;
