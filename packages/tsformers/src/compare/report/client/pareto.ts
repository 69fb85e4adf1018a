import type { ParetoCost, TaskData } from "../report-data.ts";

/** Of the variants shown, those that no other shown one beats: the Pareto front, as the advice has it. */
export function frontOf(
  { variants, beatenBy }: Pick<TaskData, "variants" | "beatenBy">,
  cost: ParetoCost,
  shown: readonly string[],
): string[] {
  return shown.filter((variant) => {
    const better = (beatenBy[cost][variant] ?? []).map((place) => variants[place]!.variant);
    return !better.some((other) => shown.includes(other));
  });
}

/** Which direction is better on each axis. */
export type Directions = { readonly x: "lower" | "higher"; readonly y: "lower" | "higher" };

/**
 * Where the line of a front has its corners, from left to right: points that no other is at least as good as on both axes and better on one. All of
 * them are on the front; so are others, which are behind by no more than chance.
 */
export function cornersOf<Point extends { readonly x: number; readonly y: number }>(
  points: readonly Point[],
  { x, y }: Directions,
): Point[] {
  const [signX, signY] = [x, y].map((better) => (better === "lower" ? 1 : -1)) as [number, number];
  const isBeaten = (point: Point) =>
    points.some((other) => {
      const [gainX, gainY] = [signX * (point.x - other.x), signY * (point.y - other.y)];
      return gainX >= 0 && gainY >= 0 && gainX + gainY > 0;
    });
  return points.filter((point) => !isBeaten(point)).sort((a, b) => a.x - b.x || a.y - b.y);
}
