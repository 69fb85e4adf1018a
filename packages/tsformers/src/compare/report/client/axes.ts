import type { TaskData, VariantData } from "../report-data.ts";
import type { AxisSpec } from "./chart-spec.ts";
import { bytesText, countText, figureText, grouped, plain, timesText } from "./format.ts";

/** The ranking metric, as a y axis. */
export function metricAxis({ metric }: TaskData): AxisSpec {
  const direction = metric.better === "lower" ? "lower is better" : "higher is better";
  return { label: `${metric.label}, ${direction}`, scale: "linear", tick: plain, text: figureText };
}

/** Lengths of rows; ticks are where something was measured. */
export function lengthAxis({ about: { lengths } }: TaskData): AxisSpec {
  return { label: "tokens in a row", scale: "log", tick: (value) => grouped(value), text: grouped, ticks: lengths };
}

/** Lengths as multiples of the training length. */
export function multipleAxis({ about: { lengths, trainLength } }: TaskData): AxisSpec {
  const text = (times: number) => timesText(times);
  return {
    label: `length of rows, as a multiple of the training length of ${grouped(trainLength)}`,
    scale: "log",
    tick: text,
    text: (times) => `${text(times)} (${grouped(Math.round(times * trainLength))})`,
    ticks: lengths.map((length) => length / trainLength),
  };
}

/** Costs that differ by what measuring them again may give lie near each other. */
const leastRatio = 1.5;

export function countAxis(label: string): AxisSpec {
  return { label, scale: "log", tick: countText, text: (value) => countText(value), leastRatio };
}

export function bytesAxis(label: string): AxisSpec {
  return { label, scale: "log", tick: bytesText, text: (value) => bytesText(value), leastRatio };
}

/** The ranking metric of a variant: its mean, and the interval or range it is known in. */
export function scoreOf(
  { result }: VariantData,
  { metric }: TaskData,
): { readonly y: number; readonly low?: number; readonly high?: number } | undefined {
  const score = result?.metrics[metric.name];
  if (score === undefined || !Number.isFinite(score.mean)) return undefined;
  return score.values.length < 2
    ? { y: score.mean }
    : { y: score.mean, low: Math.min(...score.values), high: Math.max(...score.values) };
}
