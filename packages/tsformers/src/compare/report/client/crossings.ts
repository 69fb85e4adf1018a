import type { Crossover } from "../../statistics/crossovers.ts";
import type { PointSpec, SeriesSpec } from "./chart-spec.ts";

/** Variants that become better than the same others at the same length, and where their lines meet. */
export type Crossing = {
  readonly variants: readonly string[];
  readonly others: readonly string[];
  readonly from: number;
  readonly x: number;
  readonly y: number;
  /** Its number in the chart; crossings that are drawn at one place share it. */
  readonly number: number;
};

/** Marks that are nearer to each other than this share of the chart's width and height would cover each other. */
const near = 0.07;

/** The crossovers that a chart of these lines shows, those that overtake the most first. */
export function crossingsOf(
  crossovers: readonly Crossover[],
  series: readonly SeriesSpec[],
  by: Crossover["by"],
): Crossing[] {
  const pointsOf = (variant: string) => series.find((one) => one.variant === variant)?.points;
  const isDrawn = (variant: string) => pointsOf(variant) !== undefined;
  const groups = crossovers
    // Where one is cheaper at every length, no lines cross.
    .filter((one) => one.by === by && one.to === undefined)
    .map(({ variants, others, from }) => ({ variants: variants.filter(isDrawn), others: others.filter(isDrawn), from }))
    .filter(({ variants, others }) => variants.length > 0 && others.length > 0);
  const found = groups
    .flatMap((group) => {
      const places = group.variants.flatMap((variant) =>
        group.others.flatMap((other) => meeting(pointsOf(variant)!, pointsOf(other)!, group.from) ?? []),
      );
      const middle = (value: (place: Place) => number) =>
        Math.exp(places.reduce((sum, place) => sum + Math.log(value(place)), 0) / places.length);
      return places.length === 0 ? [] : [{ ...group, x: middle(({ x }) => x), y: middle(({ y }) => y) }];
    })
    .sort((a, b) => b.variants.length * b.others.length - a.variants.length * a.others.length || a.from - b.from);
  return numbered(
    found,
    series.flatMap(({ points }) => points),
  );
}

function numbered(found: readonly Omit<Crossing, "number">[], points: readonly PointSpec[]): Crossing[] {
  const span = (values: readonly number[]) => Math.log(Math.max(...values) / Math.min(...values)) || 1;
  const [width, height] = [span(points.map(({ x }) => x)), span(points.map(({ y }) => y))];
  const marks: { x: number; y: number }[] = [];
  return found.map((crossing) => {
    const isNear = ({ x, y }: { x: number; y: number }) =>
      Math.abs(Math.log(x / crossing.x)) < near * width && Math.abs(Math.log(y / crossing.y)) < near * height;
    const known = marks.findIndex(isNear);
    return { ...crossing, number: (known < 0 ? marks.push(crossing) - 1 : known) + 1 };
  });
}

type Place = { readonly x: number; readonly y: number };

/** Where two lines meet on logarithmic axes, between a length and the one before; else at that length. */
function meeting(one: readonly PointSpec[], other: readonly PointSpec[], from: number): Place | undefined {
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
