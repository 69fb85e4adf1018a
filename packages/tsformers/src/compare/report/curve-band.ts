import type { CurvePoint } from "../results.ts";
import type { CurveBand } from "./report-data.ts";

/** Points of a curve beyond this many are not seen on a screen. */
const mostPoints = 80;

/** Joins the curves of several seeds, step by step; a step that only some seeds have counts those. Losses that are not finite are left out. */
export function curveBand(curves: readonly (readonly CurvePoint[])[], hasRange: boolean): CurveBand {
  const losses = new Map<number, number[]>();
  for (const { step, loss } of curves.flat()) {
    if (!Number.isFinite(loss)) continue;
    const others = losses.get(step) ?? [];
    losses.set(step, others);
    others.push(loss);
  }
  const points = thinned([...losses].sort(([a], [b]) => a - b));
  const over = (value: (losses: readonly number[]) => number) => points.map(([, all]) => rounded(value(all)));
  const mean = over((all) => all.reduce((sum, loss) => sum + loss, 0) / all.length);
  return {
    steps: points.map(([step]) => step),
    mean,
    ...(hasRange && { low: over((all) => Math.min(...all)), high: over((all) => Math.max(...all)) }),
  };
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
