import type { VariantData } from "../report-data.ts";
import { metricAxis, multipleAxis } from "./axes.ts";
import { chartFigure } from "./chart.ts";
import type { ChartSpec, PointSpec } from "./chart-spec.ts";
import { chartSection, type Section } from "./section.ts";
import type { Store } from "./store.ts";

/** The ranking metric at other lengths than that of training. */
export function extrapolation(store: Store): Section {
  const chart = chartFigure(store, {
    title: "Quality by length",
    lead: () =>
      `The same trained models on shorter and longer rows.${store.data.seeds > 1 ? " Bands go from the lowest to the highest seed." : ""}`,
    spec: (variants) => specOf(variants, store),
  });
  return chartSection(store, { id: "extrapolation", title: "Beyond the training length", charts: [chart] });
}

function specOf(variants: readonly VariantData[], store: Store): ChartSpec | undefined {
  const task = store.task();
  const { trainLength, lengths, baselines } = task.about;
  if (lengths.length < 2) return undefined;
  const pointsOf = ({ result }: VariantData) =>
    (result?.byLength ?? []).flatMap((cell): PointSpec[] => {
      if ("missing" in cell || !Number.isFinite(cell.figure.mean)) return [];
      const { values, mean } = cell.figure;
      const range = values.length < 2 ? {} : { low: Math.min(...values), high: Math.max(...values) };
      return [{ x: cell.length / trainLength, y: mean, ...range }];
    });
  if (task.variants.every((one) => pointsOf(one).length === 0)) return undefined;
  const series = variants
    .map((one) => ({ variant: one.variant, markers: true, points: pointsOf(one) }))
    .filter(({ points }) => points.length > 0);
  return {
    summary: `Line chart of ${task.metric.label} by length of rows, as a multiple of the training length of ${trainLength}.`,
    x: multipleAxis(task),
    y: metricAxis(task),
    lines: true,
    series,
    verticals: [{ x: 1, text: "training length" }],
    levels: baselines.flatMap(({ name, metrics }) => {
      const y = metrics[task.metric.name];
      return y === undefined || !Number.isFinite(y) ? [] : [{ y, text: name }];
    }),
    absent: variants.flatMap((one) =>
      pointsOf(one).length === 0 ? [{ variant: one.variant, reason: "no result" }] : [],
    ),
  };
}
