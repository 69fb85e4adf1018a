import { foldIn, randomKey } from "@tsformers/engine";
import { describe, expect, it } from "vitest";
import {
  drawPathfinder,
  type PathfinderDifficulty,
  type PathfinderSize,
  pathfinderTask,
} from "../../../src/tasks/arena/pathfinder.ts";
import type { Paddle, Point } from "../../../src/tasks/arena/pathfinder-scene.ts";

type Drawn = ReturnType<typeof drawPathfinder>;

const between = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);
const same = (a: Point, b: Point): boolean => between(a, b) < 1e-9;

/** Points along a dash, closely spaced. */
const along = ({ tail, head }: Paddle): Point[] =>
  Array.from({ length: 21 }, (_, i) => ({
    x: tail.x + (i / 20) * (head.x - tail.x),
    y: tail.y + (i / 20) * (head.y - tail.y),
  }));
const nearest = (a: Paddle, b: Paddle): number =>
  Math.min(...along(a).flatMap((p) => along(b).map((q) => between(p, q))));

/** Which paths have an end at a point. */
const pathsEndingAt = ({ paths }: Drawn, point: Point): number[] =>
  paths.flatMap((path, i) => (same(path[0]!.tail, point) || same(path.at(-1)!.head, point) ? [i] : []));

const cases: readonly (readonly [PathfinderSize, PathfinderDifficulty, number, number])[] = [
  [32, "easy", 40, 6],
  [32, "intermediate", 40, 9],
  [32, "hard", 40, 14],
  [64, "hard", 6, 14],
  [128, "hard", 4, 14],
  [256, "easy", 3, 6],
];

describe.each(cases)("pictures of %i, %s", (size, difficulty, count, contourLength) => {
  const drawn = Array.from({ length: count }, (_, i) => drawPathfinder(foldIn(randomKey(4), i), { size, difficulty }));

  it("have class 1 exactly when both markers are at the ends of one path", () => {
    for (const scene of drawn) {
      const [a, b] = scene.markers.map((marker) => pathsEndingAt(scene, marker));
      expect([a!.length, b!.length]).toEqual([1, 1]);
      expect([0, 1]).toContain(a![0]);
      expect([0, 1]).toContain(b![0]);
      expect(scene.label).toBe(a![0] === b![0] ? 1 : 0);
      expect(between(...scene.markers)).toBeGreaterThan(2 * scene.layout.markerRadius);
    }
  });

  it("have two long paths, whose beginnings are apart as they should be, and shorter ones", () => {
    for (const { paths, layout, margin } of drawn) {
      const short = Math.floor(contourLength / 3);
      expect(paths.map((path) => path.length)).toEqual([
        contourLength,
        contourLength,
        ...new Array(paths.length - 2).fill(short),
      ]);
      expect(paths.length - 2).toBeLessThanOrEqual(layout.distractorPaddles / short);
      expect(between(paths[0]![0]!.tail, paths[1]![0]!.tail)).toBeCloseTo(layout.seedDistance, 9);
      for (const path of paths) {
        for (const [i, { tail, head }] of path.entries()) {
          expect(between(tail, head)).toBeCloseTo(layout.paddleLength, 9);
          if (i === 0) continue;
          // From one dash to the next: a margin on, a turn of at most 90° / continuity, another margin on.
          const gap = between(path[i - 1]!.head, tail);
          const turn = Math.PI / 2 / layout.continuity;
          expect(gap).toBeLessThanOrEqual(2 * margin + 1e-9);
          expect(gap).toBeGreaterThanOrEqual(2 * margin * Math.cos(turn / 2) - 1e-9);
        }
      }
    }
  });

  it("keep all dashes apart that do not follow each other, and off the border", () => {
    for (const { paths, layout, margin } of drawn.slice(0, 5)) {
      const dashes = paths.flatMap((path, p) => path.map((paddle, i) => ({ paddle, p, i })));
      const ends = dashes.flatMap(({ paddle }) => [paddle.tail, paddle.head]);
      const border = layout.padding + margin;
      expect(Math.min(...ends.flatMap(({ x, y }) => [x, y]))).toBeGreaterThanOrEqual(border);
      expect(Math.max(...ends.flatMap(({ x, y }) => [x, y]))).toBeLessThanOrEqual(size - border);
      const distances = dashes.flatMap((one, i) =>
        dashes
          .slice(i + 1)
          .filter((other) => other.p !== one.p || Math.abs(other.i - one.i) > 1)
          .filter((other) => between(one.paddle.tail, other.paddle.tail) < 20)
          .map((other) => nearest(one.paddle, other.paddle)),
      );
      expect(Math.min(...distances)).toBeGreaterThanOrEqual(2 * margin + layout.thickness - 1e-9);
      expect(distances.length).toBeGreaterThan(0);
    }
  });

  it("show dashes, markers and nothing else", () => {
    for (const { image, paths, markers, layout } of drawn.slice(0, 4)) {
      const at = ({ x, y }: Point): number => image[Math.floor(y) * size + Math.floor(x)]!;
      for (const marker of markers) expect(at(marker)).toBe(255);
      const dashes = paths.flat();
      for (const dash of dashes) expect(at(along(dash)[10]!)).toBeGreaterThan(0);
      image.forEach((value, pixel) => {
        if (value === 0) return;
        const middle = { x: (pixel % size) + 0.5, y: Math.floor(pixel / size) + 0.5 };
        const reach = Math.SQRT1_2 + 0.2;
        const nearDash = dashes.some((dash) =>
          along(dash).some((point) => between(point, middle) <= layout.thickness / 2 + reach),
        );
        const nearMarker = markers.some((marker) => between(marker, middle) <= layout.markerRadius + reach);
        expect(nearDash || nearMarker).toBe(true);
        if (!nearMarker) expect(value).toBeLessThanOrEqual(Math.ceil(255 * layout.contrast));
      });
    }
  });
});

describe("pathfinder", () => {
  it("has as many pictures of each class, and nothing of a class in the brightness", () => {
    const task = pathfinderTask({ difficulty: "easy" });
    const batch = task.views.labelled.trainBatch(1, 1000);
    const labels = batch.labels.toNumbers();
    const ones = labels.reduce((a, b) => a + b, 0);
    expect(Math.abs(ones - 500)).toBeLessThan(5 * Math.sqrt(250));
    const tokens = batch.inputs.toNumbers();
    const brightness = labels.map((_, row) =>
      tokens.slice(row * 1024, (row + 1) * 1024).reduce((sum, token) => sum + token - 1, 0),
    );
    const mean = (label: number): number => {
      const own = brightness.filter((_, row) => labels[row] === label);
      return own.reduce((a, b) => a + b, 0) / own.length;
    };
    const spread = Math.sqrt(brightness.reduce((sum, value) => sum + (value - mean(0)) ** 2, 0) / brightness.length);
    expect(Math.abs(mean(0) - mean(1))).toBeLessThan((5 * 2 * spread) / Math.sqrt(1000));
  });

  it("is the picture, level by level, with padding behind it", () => {
    const task = pathfinderTask();
    expect([task.length, task.vocabularySize, task.views.labelled.classNames]).toEqual([
      1024,
      257,
      ["apart", "connected"],
    ]);
    const batch = task.views.labelled.trainBatch(2, 3, 1030);
    const image = drawPathfinder(foldIn(foldIn(randomKey(0), 2), 1), { size: 32, difficulty: "hard" });
    const row = batch.inputs.toNumbers().slice(1030, 2060);
    expect(row.slice(0, 1024)).toEqual(Array.from(image.image, (level) => level + 1));
    expect(row.slice(1024)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(batch.labels.toNumbers()[1]).toBe(image.label);
    expect([task.symbolOf!(0), task.symbolOf!(1), task.symbolOf!(256)]).toEqual(["pad", "0", "255"]);
  });

  it("refuses rows that are too short for a picture", () => {
    expect(() => pathfinderTask({ length: 100 }).views.labelled.trainBatch(0, 1)).toThrow(
      "pathfinder: a picture of 1024 pixels does not fit a length of 100",
    );
  });
});
