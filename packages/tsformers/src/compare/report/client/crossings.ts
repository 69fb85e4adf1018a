import type { Crossover } from "../../crossovers.ts";
import type { PointSpec, SeriesSpec } from "./chart-spec.ts";

/** A crossover among the drawn variants, and where the two lines meet. */
export type Crossing = { readonly crossover: Crossover; readonly x: number; readonly y: number };

/** The crossovers that a chart of these lines shows, those that overtake the most first. */
export function crossingsOf(
  crossovers: readonly Crossover[],
  series: readonly SeriesSpec[],
  by: Crossover["by"],
): Crossing[] {
  const pointsOf = (variant: string) => series.find((one) => one.variant === variant)?.points;
  return crossovers
    .filter((crossover) => crossover.by === by)
    .flatMap((crossover) => {
      const own = pointsOf(crossover.variant);
      const others = crossover.others.filter((other) => pointsOf(other) !== undefined);
      const first = others[0];
      if (own === undefined || first === undefined) return [];
      const place = meeting(own, pointsOf(first)!, crossover.from);
      return place === undefined ? [] : [{ crossover: { ...crossover, others }, ...place }];
    })
    .sort((a, b) => b.crossover.others.length - a.crossover.others.length || a.crossover.from - b.crossover.from);
}

/** Where two lines meet on logarithmic axes, between a length and the one before; else at that length. */
function meeting(
  one: readonly PointSpec[],
  other: readonly PointSpec[],
  from: number,
): { readonly x: number; readonly y: number } | undefined {
  const at = (points: readonly PointSpec[], x: number | undefined) => points.find((point) => point.x === x);
  const before = one.filter(({ x }) => x < from && at(other, x) !== undefined).at(-1)?.x;
  const [a, b] = [at(one, from), at(other, from)];
  const [a0, b0] = [at(one, before), at(other, before)];
  if (a === undefined || b === undefined) return undefined;
  if (a0 === undefined || b0 === undefined) return { x: from, y: a.y };
  const [gap0, gap] = [Math.log(a0.y / b0.y), Math.log(a.y / b.y)];
  const share = gap0 === gap ? 1 : Math.min(1, Math.max(0, gap0 / (gap0 - gap)));
  const between = (low: number, high: number) => low * (high / low) ** share;
  return { x: between(a0.x, a.x), y: between(a0.y, a.y) };
}
