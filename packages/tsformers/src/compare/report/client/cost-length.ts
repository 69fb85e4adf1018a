import { type MeasuredStep, measuredSteps } from "../../statistics/step-costs.ts";
import type { TaskData, VariantData } from "../report-data.ts";
import { bytesAxis, countAxis, lengthAxis } from "./axes.ts";
import { chartFigure } from "./chart.ts";
import type { AxisSpec, ChartSpec, SeriesSpec } from "./chart-spec.ts";
import { type Crossing, crossingsOf } from "./crossings.ts";
import { h } from "./dom.ts";
import { grouped, listed } from "./format.ts";
import { chartSection, type Section } from "./section.ts";
import type { Store } from "./store.ts";

type Figure = {
  readonly title: string;
  readonly by: "speed" | "memory";
  readonly axis: AxisSpec;
  /** Of one variant, and of several. */
  readonly words: readonly [one: string, several: string];
  value(step: MeasuredStep): number;
};

const figures: readonly Figure[] = [
  {
    title: "Time",
    by: "speed",
    axis: countAxis("microseconds per token, lower is better"),
    words: ["is faster than", "are faster than"],
    value: ({ tokensPerSecond }) => 1e6 / tokensPerSecond,
  },
  {
    title: "Memory",
    by: "memory",
    axis: bytesAxis("peak memory, lower is better"),
    words: ["takes less memory than", "take less memory than"],
    value: ({ peakBytes }) => peakBytes,
  },
];

/** At most so many crossovers are numbered in a chart. */
const mostMarked = 6;
const mostListed = 8;

/** What a step costs by length, and from where on one variant is cheaper than another. */
export function costLength(store: Store): Section {
  const charts = figures.map((figure) =>
    chartFigure(store, {
      title: `${figure.title} by length`,
      legend: false,
      spec: (variants) => specOf(variants, store.task(), figure),
      below: (variants) => crossoverList(variants, store.task(), figure),
    }),
  );
  return chartSection(store, {
    id: "length",
    title: "Time and memory by length",
    lead: "One step forward and backward, measured in a process of its own. Both axes are logarithmic. Numbers mark crossovers: from there on, one variant is cheaper than another by more than 10 %.",
    charts,
    legend: () => store.matching().flatMap(({ variant, steps }) => (steps.length === 0 ? [] : [variant])),
  });
}

function specOf(variants: readonly VariantData[], task: TaskData, figure: Figure): ChartSpec | undefined {
  if (task.variants.every(({ steps }) => steps.length === 0)) return undefined;
  const series = variants.map(
    (one): SeriesSpec => ({
      variant: one.variant,
      markers: true,
      points: measuredSteps(one).map((step) => ({ x: step.length, y: figure.value(step) })),
    }),
  );
  const drawn = series.filter(({ points }) => points.length > 0);
  const crossings = crossingsOf(task.crossovers, drawn, figure.by);
  return {
    summary: `Line chart of ${figure.axis.label} by tokens in a row, both logarithmic. ${crossings.map((crossing) => textOf(crossing, figure)).join(" ")}`,
    x: lengthAxis(task),
    y: figure.axis,
    lines: true,
    series: drawn,
    places: crossings
      .filter(({ number }, i) => number <= mostMarked && crossings.findIndex((other) => other.number === number) === i)
      .map(({ x, y, number }) => ({ x, y, text: String(number) })),
    absent: variants.flatMap((one) =>
      measuredSteps(one).length > 0 ? [] : [{ variant: one.variant, reason: "not measured" }],
    ),
  };
}

function crossoverList(variants: readonly VariantData[], task: TaskData, figure: Figure): HTMLElement[] {
  const spec = specOf(variants, task, figure);
  if (spec === undefined) return [];
  const crossings = crossingsOf(task.crossovers, spec.series, figure.by);
  if (crossings.length === 0)
    return [h("p", { class: "absent" }, "None of the variants shown overtakes another at a longer length.")];
  const items = [...crossings]
    .sort((a, b) => a.number - b.number)
    .map((crossing) => {
      const isMarked = crossing.number <= mostMarked;
      const mark = h("span", { class: isMarked ? "place" : "place none" }, isMarked ? String(crossing.number) : "");
      return h("li", {}, mark, h("span", {}, textOf(crossing, figure)));
    });
  const rest = items.slice(mostListed);
  return [
    h("ul", { class: "crossovers" }, ...items.slice(0, mostListed)),
    ...(rest.length === 0
      ? []
      : [h("details", {}, h("summary", {}, `${rest.length} more`), h("ul", { class: "crossovers" }, ...rest))]),
  ];
}

function textOf({ variants, others, from }: Crossing, { words }: Figure): string {
  return `From ${grouped(from)} tokens on, ${listed(variants)} ${words[variants.length === 1 ? 0 : 1]} ${listed(others)}.`;
}
