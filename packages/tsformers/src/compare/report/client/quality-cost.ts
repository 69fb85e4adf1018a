import { costNoise } from "../../statistics/step-costs.ts";
import type { ParetoCost, VariantData } from "../report-data.ts";
import { bytesAxis, countAxis, metricAxis, scoreOf } from "./axes.ts";
import { chartFigure } from "./chart.ts";
import type { AxisSpec, ChartSpec } from "./chart-spec.ts";
import { toggle } from "./dom.ts";
import { listed } from "./format.ts";
import { cornersOf, frontOf } from "./pareto.ts";
import { chartSection, type Section } from "./section.ts";
import type { Store } from "./store.ts";

type Cost = {
  readonly name: string;
  readonly kind: ParetoCost;
  readonly axis: AxisSpec;
  readonly better: "lower" | "higher";
  value(variant: VariantData): number | undefined;
};

const costs: readonly Cost[] = [
  {
    name: "Speed",
    kind: "time",
    axis: countAxis("training tokens per second, higher is better"),
    better: "higher",
    value: ({ result }) => result?.trainTokensPerSecond?.mean,
  },
  {
    name: "Memory",
    kind: "memory",
    axis: bytesAxis("peak memory of training, lower is better"),
    better: "lower",
    value: ({ result }) => result?.peakBytes?.mean,
  },
  {
    name: "Parameters",
    kind: "parameters",
    axis: countAxis("parameters, lower is better"),
    better: "lower",
    value: ({ cell }) => cell?.parameters,
  },
  {
    name: "FLOPs",
    kind: "flops",
    axis: countAxis("floating point operations per token of a training step, lower is better"),
    better: "lower",
    value: ({ cell }) => cell?.flopsPerToken,
  },
];

/** What a front is. */
export const frontText =
  "Named variants are the Pareto front: no other one shown is cheaper and no worse, or better and no dearer, by more than chance (seeds, and 10 % of what is measured). The dashed line follows the best means, if any costs differ by more than chance.";

/** The ranking metric against what it costs, with the Pareto front. */
export function qualityCost(store: Store): Section {
  let cost = costs[0]!;
  const chart = chartFigure(store, {
    title: "Quality against cost",
    lead: () => `${frontText}${store.data.seeds > 1 ? " Bars go from the lowest to the highest seed." : ""}`,
    controls: () =>
      costs.map((one) =>
        toggle(one.name, one === cost, () => {
          cost = one;
          chart.update();
        }),
      ),
    spec: (variants) => specOf(variants, cost, store),
  });
  return chartSection(store, { id: "cost", title: "Quality against cost", charts: [chart] });
}

function specOf(
  variants: readonly VariantData[],
  { kind, axis, better, value }: Cost,
  store: Store,
): ChartSpec | undefined {
  const task = store.task();
  const all = variants.flatMap((one) => {
    const [x, score] = [value(one), scoreOf(one, task)];
    return x === undefined || score === undefined ? [] : [{ variant: one.variant, x, ...score }];
  });
  if (all.length === 0 && !task.variants.some((one) => scoreOf(one, task) !== undefined)) return undefined;
  const noise = kind === "time" || kind === "memory" ? costNoise : 0;
  const values = all.map(({ x }) => x);
  const isTold = Math.min(...values) < Math.max(...values) * (1 - noise);
  const front = frontOf(
    task,
    kind,
    all.map(({ variant }) => variant),
  );
  return {
    summary: `Scatter chart of ${task.metric.label} against ${axis.label}. On the Pareto front: ${listed(front)}.`,
    x: axis,
    y: metricAxis(task),
    lines: false,
    series: all.map(({ variant, ...point }) => ({
      variant,
      points: [front.includes(variant) ? { ...point, name: variant } : point],
    })),
    ...(isTold && {
      front: {
        points: cornersOf(all, { x: better, y: task.metric.better }),
        step: better === "lower" ? "end" : "start",
      },
    }),
    absent: variants.flatMap((one) =>
      value(one) === undefined || scoreOf(one, task) === undefined
        ? [{ variant: one.variant, reason: "no result" }]
        : [],
    ),
  };
}
