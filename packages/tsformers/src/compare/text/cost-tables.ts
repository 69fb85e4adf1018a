import type { Comparison, TaskAbout } from "../results.ts";
import { areCrossoversInTables, betterFrom, type Crossover } from "../statistics/crossovers.ts";
import { stateOfCell } from "../statistics/state-of-cell.ts";
import { longestStep, type MeasuredStep, measuredSteps, stepAt } from "../statistics/step-costs.ts";
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

/** What a step costs at the longest length that was measured, each figure also as a multiple of the reference's; and what the models are. */
export function stepCostTable(
  { cells }: Comparison,
  task: TaskAbout,
  summaries: readonly VariantSummary[],
  reference: string | undefined,
): TextTable[] {
  const length = longestStep(summaries);
  const marked = marker(cells, task);
  const theirs = referenceOf(summaries, reference);
  const [against, compared] = [
    theirs && stepAt(theirs, length),
    theirs === undefined ? "" : `; × as a multiple of ${reference}`,
  ];
  const figures: readonly (readonly [
    name: string,
    text: (value: number) => string,
    of: (step: MeasuredStep) => number,
  ])[] = [
    ["tok/s", countText, ({ tokensPerSecond }) => tokensPerSecond],
    ["memory", bytesText, ({ peakBytes }) => peakBytes],
    ["FLOPs", countText, ({ flopsPerToken }) => flopsPerToken],
  ];
  const rows = summaries.map((summary) => {
    const cell = cells.find((one) => one.task === task.label && one.variant === summary.variant);
    const step = stepAt(summary, length);
    return [
      marked(summary.variant),
      ...figures.flatMap(([, text, of]) => [
        optional(step, (own) => text(of(own))),
        ...(theirs === undefined ? [] : [timesText(step, against, of)]),
      ]),
      optional(summary.parameters ?? cell?.parameters, countText),
      optional(stateOfCell(cell, length)?.bytes, smallBytesText),
    ];
  });
  return [
    {
      title: `${task.label}: a step forward and backward at length ${lengthText(length)}, FLOPs per token${compared}`,
      header: [
        "variant",
        ...figures.flatMap(([name]) => [name, ...(theirs === undefined ? [] : ["×"])]),
        "params",
        "state",
      ],
      rows,
    },
  ];
}

/**
 * Speed and memory of a step by length, each also as a multiple of the reference's; of many variants with the length from which on they are better.
 * Nothing of one length where {@link stepCostTable} has it.
 */
export function stepTables(
  task: TaskAbout,
  summaries: readonly VariantSummary[],
  reference: string | undefined,
  { isTrained }: { readonly isTrained: boolean },
): TextTable[] {
  const lengths = [...new Set(summaries.flatMap((one) => measuredSteps(one).map(({ length }) => length)))].sort(
    (a, b) => a - b,
  );
  if (lengths.length < (isTrained ? 1 : 2)) return [];
  const measured = summaries.filter(({ steps }) => steps !== undefined);
  const against = referenceOf(measured, reference);
  const compared = against === undefined ? "" : `, and as a multiple of ${reference}`;
  const crossed = areCrossoversInTables(measured, reference) && lengths.length > 1 ? against : undefined;
  const table = (
    title: string,
    [by, name]: (typeof crossoverColumns)[number],
    text: (value: number) => string,
    of: (step: MeasuredStep) => number,
  ): TextTable => ({
    title: `${task.label}: ${title}${compared}`,
    header: [
      "variant",
      ...lengths.map((length) => lengthHeader(length, task.trainLength)),
      ...(crossed === undefined ? [] : [name]),
    ],
    rows: measured.map((summary) => [
      summary.variant,
      ...lengths.map((length) => {
        const step = stepAt(summary, length);
        if (step === undefined) return none;
        const times =
          summary === against || against === undefined ? none : timesText(step, stepAt(against, length), of);
        return `${text(of(step))}${times === none ? "" : ` (${times}×)`}`;
      }),
      ...(crossed === undefined ? [] : [summary === crossed ? none : fromText(summary, crossed, by)]),
    ]),
  });
  const [speed, memory] = crossoverColumns;
  return [
    table("tokens per second of a step forward and backward", speed, countText, (step) => step.tokensPerSecond),
    table("peak memory of such a step", memory, bytesText, ({ peakBytes }) => peakBytes),
  ];
}

/** Columns of what {@link betterFrom} finds. */
const crossoverColumns = [
  ["speed", "faster from"],
  ["memory", "less from"],
] as const;

function fromText(one: VariantSummary, reference: VariantSummary, by: Crossover["by"]): string {
  return optional(betterFrom(one, reference, by), lengthText, "never");
}

/** What the columns of crossovers are; nothing where there are none. */
export function crossoverNote(summaries: readonly VariantSummary[], reference: string): string[] {
  const lengths = new Set(summaries.flatMap((one) => measuredSteps(one).map(({ length }) => length)));
  return lengths.size < 2
    ? []
    : [
        `faster from, less from: the first length measured from which on a variant is faster than ${reference}, or takes less memory, by more than 10 %`,
      ];
}

/** The variant that others are compared with, if there are others. */
function referenceOf(summaries: readonly VariantSummary[], reference: string | undefined): VariantSummary | undefined {
  return summaries.length < 2 ? undefined : summaries.find(({ variant }) => variant === reference);
}

function timesText(
  step: MeasuredStep | undefined,
  theirs: MeasuredStep | undefined,
  of: (step: MeasuredStep) => number,
): string {
  return step === undefined || theirs === undefined ? none : ratioText(of(step) / of(theirs));
}
