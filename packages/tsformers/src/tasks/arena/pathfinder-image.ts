import {
  distance,
  distanceToPaddle,
  type PathfinderLayout,
  type PathfinderScene,
  type Point,
} from "./pathfinder-scene.ts";

/** Points of a pixel, in each direction, at which it is looked at. */
const samples = 4;

/**
 * The picture of a scene, row by row, 0 … 255: dashes as strokes of their thickness with round ends, markers as discs, anti-aliased.
 * A pixel has the share of it that is covered; strokes thinner than a pixel are raised to the brightness of one.
 */
export function renderScene({ paths, markers }: PathfinderScene, layout: PathfinderLayout): Uint8Array {
  const { size, thickness, contrast, markerRadius } = layout;
  const image = new Float32Array(size * size);
  const draw = (points: readonly Point[], radius: number, brightness: number, distanceTo: (point: Point) => number) => {
    const [left, right] = extent(
      points.map(({ x }) => x),
      radius,
      size,
    );
    const [top, bottom] = extent(
      points.map(({ y }) => y),
      radius,
      size,
    );
    // The most that a stroke can cover of a pixel that it passes through.
    const most = Math.min(2 * radius, 1);
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const value = brightness * Math.min(coverage(column, row, radius, distanceTo) / most, 1);
        if (value > image[row * size + column]!) image[row * size + column] = value;
      }
    }
  };
  for (const paddle of paths.flat())
    draw([paddle.tail, paddle.head], thickness / 2, contrast, (point) => distanceToPaddle(point, paddle));
  for (const marker of markers) draw([marker], markerRadius, 1, (point) => distance(point, marker));
  return Uint8Array.from(image, (value) => Math.round(255 * value));
}

/** The pixels that a shape may reach. */
function extent(places: readonly number[], radius: number, size: number): [number, number] {
  const clamped = (pixel: number): number => Math.min(Math.max(Math.floor(pixel), 0), size - 1);
  return [clamped(Math.min(...places) - radius), clamped(Math.max(...places) + radius)];
}

/** The share of a pixel's points that are within a radius. */
function coverage(column: number, row: number, radius: number, distanceTo: (point: Point) => number): number {
  const middle = distanceTo({ x: column + 0.5, y: row + 0.5 });
  if (Math.abs(middle - radius) > Math.SQRT1_2) return middle < radius ? 1 : 0;
  let covered = 0;
  for (let i = 0; i < samples; i++) {
    for (let j = 0; j < samples; j++) {
      if (distanceTo({ x: column + (i + 0.5) / samples, y: row + (j + 0.5) / samples }) <= radius) covered++;
    }
  }
  return covered / samples ** 2;
}
