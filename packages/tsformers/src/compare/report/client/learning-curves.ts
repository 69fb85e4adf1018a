import type { CurveBand, VariantData } from "../report-data.ts";
import { chartFigure } from "./chart.ts";
import type { ChartSpec, SeriesSpec } from "./chart-spec.ts";
import { toggle } from "./dom.ts";
import { countText, figureText, grouped, plain } from "./format.ts";
import { chartSection, type Section } from "./section.ts";
import type { Store } from "./store.ts";

/** Losses over steps, with bands over seeds. */
export function learningCurves(store: Store): Section {
  // A short run has evaluated once, but has a curve of training.
  const { variants } = store.task();
  const isLong = variants.some(({ result, pretrained }) => ((result ?? pretrained)?.validCurve.steps.length ?? 0) > 1);
  let [train, log] = [!isLong && hasCurve(variants), false];
  const chart = chartFigure(store, {
    title: "Loss over steps",
    lead: () => leadText({ train, hasSeveral: store.data.seeds > 1 }),
    controls: () => [
      toggle("Training loss", train, () => {
        train = !train;
        chart.update();
      }),
      toggle("Logarithmic", log, () => {
        log = !log;
        chart.update();
      }),
    ],
    spec: (variants) => specOf(variants, { train, log, label: store.task().about.metrics[0]!.label }),
  });
  return chartSection(store, { id: "curves", title: "Learning curves", charts: [chart] });
}

function leadText({ train, hasSeveral }: { train: boolean; hasSeveral: boolean }): string {
  const what = `Validation loss${train ? ", and training loss as a thin line" : ""}`;
  if (!hasSeveral) return `${what}.`;
  return `${what}: the mean over seeds, where all of them have one. ${train ? "Bands of validation loss go" : "Bands go"} from the lowest to the highest seed.`;
}

function specOf(
  variants: readonly VariantData[],
  { train, log, label }: { train: boolean; log: boolean; label: string },
): ChartSpec | undefined {
  const series = variants.flatMap(({ variant, result, pretrained }): SeriesSpec[] => {
    const shown = result ?? pretrained;
    if (shown === undefined) return [];
    return [
      { variant, points: pointsOf(shown.validCurve) },
      ...(train ? [{ variant, part: "training", faint: true, points: pointsOf(shown.trainCurve) }] : []),
    ].filter(({ points }) => points.length > 0);
  });
  // One evaluation makes no curve.
  if (series.length > 0 && series.every(({ points }) => points.length < 2) && !hasCurve(variants)) return undefined;
  if (series.length === 0) return variants.length === 0 ? emptySpec(label) : undefined;
  const last = series.map(
    ({ variant, part, points }) => `${variant}${part === undefined ? "" : `, ${part}`} ${figureText(points.at(-1)!.y)}`,
  );
  return {
    summary: `Line chart of validation loss${train ? " and training loss" : ""} over steps. At the end: ${last.join("; ")}.`,
    x: { label: "steps", scale: "linear", tick: countText, text: grouped, tight: true },
    y: { label, scale: log ? "log" : "linear", tick: plain, text: figureText },
    lines: true,
    series,
    absent: variants.flatMap(({ variant, result, pretrained }) =>
      ((result ?? pretrained)?.seeds.length ?? 0) > 0 && !series.some((one) => one.variant === variant)
        ? [{ variant, reason: "no step at which all its seeds have a loss" }]
        : [],
    ),
  };
}

function hasCurve(variants: readonly VariantData[]): boolean {
  return variants.some(({ result, pretrained }) => ((result ?? pretrained)?.trainCurve.steps.length ?? 0) > 1);
}

/** Where nothing is chosen, the chart stays, to choose in. */
function emptySpec(label: string): ChartSpec {
  const axis = { label, scale: "linear", tick: plain, text: figureText } as const;
  return { summary: "nothing", x: axis, y: axis, lines: true, series: [] };
}

function pointsOf({ steps, mean, low, high }: CurveBand): SeriesSpec["points"] {
  return steps.map((x, i) => ({
    x,
    y: mean[i]!,
    ...(low !== undefined && high !== undefined && { low: low[i]!, high: high[i]! }),
  }));
}
