/** Which direction is better on each axis. */
export type Directions = { readonly x: "lower" | "higher"; readonly y: "lower" | "higher" };

/** The points that no other is at least as good as on both axes and better on one, from left to right. */
export function paretoFront<Point extends { readonly x: number; readonly y: number }>(
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
