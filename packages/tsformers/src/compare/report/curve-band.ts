import type { CurvePoint } from "../results.ts";
import type { CurveBand } from "./report-data.ts";

/** Points of a curve beyond this many are not seen on a screen. */
const mostPoints = 80;

/**
 * Joins the curves of several seeds. It begins and ends where all of them are known, so that each point is of the same seeds; between its own points
 * a seed's curve is the straight line that joins them. Losses that are not finite are left out.
 */
export function curveBand(curves: readonly (readonly CurvePoint[])[], hasRange: boolean): CurveBand {
  const known = curves.map((curve) => curve.filter(({ loss }) => Number.isFinite(loss)));
  const from = Math.max(...known.map(([first]) => first?.step ?? Number.POSITIVE_INFINITY));
  const to = Math.min(...known.map((curve) => curve.at(-1)?.step ?? Number.NEGATIVE_INFINITY));
  const all = new Set(known.flat().map(({ step }) => step));
  const steps = thinned([...all].filter((step) => step >= from && step <= to).sort((a, b) => a - b));
  const over = (value: (losses: readonly number[]) => number) =>
    steps.map((step) => rounded(value(known.map((curve) => lossAt(curve, step)))));
  return {
    steps,
    mean: over((losses) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length),
    ...(hasRange && { low: over((losses) => Math.min(...losses)), high: over((losses) => Math.max(...losses)) }),
  };
}

/** The loss at a step between the first and the last of a curve. */
function lossAt(curve: readonly CurvePoint[], step: number): number {
  const next = curve.findIndex((point) => point.step >= step);
  const after = curve[next]!;
  if (after.step === step) return after.loss;
  const before = curve[next - 1]!;
  return before.loss + ((after.loss - before.loss) * (step - before.step)) / (after.step - before.step);
}

/** Some of them at equal distances, the first and the last among them. */
function thinned<Item>(items: readonly Item[]): Item[] {
  if (items.length <= mostPoints) return [...items];
  const last = items.length - 1;
  return Array.from({ length: mostPoints }, (_, i) => items[Math.round((i * last) / (mostPoints - 1))]!);
}

/** Five digits are more than a chart shows. */
function rounded(value: number): number {
  return Number(value.toPrecision(5));
}
