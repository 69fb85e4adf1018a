import { stateOfCell } from "../../statistics/state-of-cell.ts";
import type { VariantData } from "../report-data.ts";
import { bytesAxis, metricAxis, scoreOf } from "./axes.ts";
import { chartFigure } from "./chart.ts";
import type { ChartSpec } from "./chart-spec.ts";
import { listed } from "./format.ts";
import { cornersOf, frontOf } from "./pareto.ts";
import { frontText } from "./quality-cost.ts";
import { chartSection, type Section } from "./section.ts";
import type { Store } from "./store.ts";

/**
 * Quality against what a row keeps of the past.
 *
 * @source Arora et al. 2023, "Zoology: Measuring and Improving Recall in Efficient Language Models", arXiv:2312.04927
 */
export function stateSize(store: Store): Section {
  const chart = chartFigure(store, {
    title: "Quality against state",
    lead: () =>
      `State is what all layers together keep of one row at the training length, when the model writes token by token. ${frontText}`,
    spec: (variants) => specOf(variants, store),
  });
  return chartSection(store, { id: "state", title: "Quality against the size of the state", charts: [chart] });
}

function specOf(variants: readonly VariantData[], store: Store): ChartSpec | undefined {
  const task = store.task();
  const bytesOf = ({ cell }: VariantData) => stateOfCell(cell, task.about.trainLength)?.bytes;
  if (!task.variants.some((one) => bytesOf(one) !== undefined && scoreOf(one, task) !== undefined)) return undefined;
  const all = variants.flatMap((one) => {
    const [x, score] = [bytesOf(one), scoreOf(one, task)];
    return x === undefined || score === undefined ? [] : [{ variant: one.variant, x, ...score }];
  });
  const front = frontOf(
    task,
    "state",
    all.map(({ variant }) => variant),
  );
  return {
    summary: `Scatter chart of ${task.metric.label} against bytes of state. On the Pareto front: ${listed(front)}.`,
    x: bytesAxis("state of one row, lower is better"),
    y: metricAxis(task),
    lines: false,
    series: all.map(({ variant, ...point }) => ({
      variant,
      points: [front.includes(variant) ? { ...point, name: variant } : point],
    })),
    front: { points: cornersOf(all, { x: "lower", y: task.metric.better }), step: "end" },
    absent: variants.flatMap((one) => {
      if (bytesOf(one) === undefined) return [{ variant: one.variant, reason: "does not write token by token" }];
      return scoreOf(one, task) === undefined ? [{ variant: one.variant, reason: "no result" }] : [];
    }),
  };
}
