import { describe, expect, it } from "vitest";
import { exampleOf } from "../../../src/tasks/example.ts";
import { jointLogDensities, logDensity } from "../../../src/tasks/gaussian-mixture.ts";
import { type PointsRow, rowsOfPoints } from "../../../src/tasks/point-rows.ts";
import { type MixtureOptions, mixtureTask } from "../../../src/tasks/sets/mixture.ts";

const rows = (options: MixtureOptions = {}, count = 400, length?: number): PointsRow[] =>
  rowsOfPoints(mixtureTask(options).views.points.trainBatch(1, count, length));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("rows", () => {
  it("have ⌈T/2⌉ to T points, whatever the length", () => {
    for (const [length, sizes] of [
      [1, [1]],
      [2, [1, 2]],
      [7, [4, 5, 6, 7]],
    ] as const) {
      const found = new Set(rows({}, 200, length).map(({ points }) => points.length));
      expect([...found].sort()).toEqual(sizes);
    }
  });

  it("have weights from Dirichlet(1, …, 1), and means and deviations as asked for", () => {
    const all = rows({ components: 3, dimensions: 3, spread: 2, deviation: 0.5 });
    const weights = all.map(({ mixture }) => mixture.map(({ logWeight }) => Math.exp(logWeight)));
    for (const row of weights) expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    // A weight has mean 1/3 and variance 1/18; four standard errors of 400 rows are 0.047.
    const first = weights.map(([weight]) => weight!);
    expect(Math.abs(mean(first) - 1 / 3)).toBeLessThan(0.047);
    // Four standard errors of the variance are 0.0132.
    expect(Math.abs(mean(first.map((weight) => (weight - 1 / 3) ** 2)) - 1 / 18)).toBeLessThan(0.0132);
    const means = all.flatMap(({ mixture }) => mixture.flatMap((one) => one.mean));
    expect(Math.max(...means.map(Math.abs))).toBeLessThan(2);
    // Uniform between −2 and 2: variance 4/3, of 3,600 numbers.
    expect(mean(means.map((value) => value ** 2))).toBeCloseTo(4 / 3, 0);
    expect(all.flatMap(({ mixture }) => mixture.flatMap((one) => one.deviation)).every((s) => s === 0.5)).toBe(true);
  });

  it("have points that come from their mixture, in random order", () => {
    const all = rows({ spread: 40 }, 300);
    const found = all.flatMap(({ points, mixture }) =>
      points.map((point) => {
        const joint = jointLogDensities(mixture, point);
        const k = joint.indexOf(Math.max(...joint));
        return { k, weight: Math.exp(mixture[k]!.logWeight), away: point.map((x, d) => x - mixture[k]!.mean[d]!) };
      }),
    );
    // Components are far apart: each point is told from the others, and stands as its noise has it.
    expect(mean(found.flatMap(({ away }) => away))).toBeCloseTo(0, 1);
    expect(Math.sqrt(mean(found.flatMap(({ away }) => away.map((x) => x * x))))).toBeCloseTo(0.3, 1);
    // The share of points of each component is its weight: in the mean over points, E[π] of the own component is E[Σ π²] = 2/5.
    expect(mean(found.map(({ weight }) => weight))).toBeCloseTo(2 / 5, 1);
    const [row] = all.filter(({ points }) => points.length > 50);
    const firstHalf = row!.points.slice(0, 25);
    expect(new Set(firstHalf.map((point) => closest(row!, point))).size).toBeGreaterThan(1);
  });
});

const closest = ({ mixture }: PointsRow, point: readonly number[]): number => {
  const joint = jointLogDensities(mixture, point);
  return joint.indexOf(Math.max(...joint));
};

it("the log-density of a point is that of its mixture, also far away from it", () => {
  const mixture = [
    { logWeight: Math.log(0.25), mean: [0, 1], deviation: [1, 2] },
    { logWeight: Math.log(0.75), mean: [3, -1], deviation: [0.5, 0.5] },
  ];
  const normal = (x: number, m: number, s: number) =>
    Math.exp(-(((x - m) / s) ** 2) / 2) / (s * Math.sqrt(2 * Math.PI));
  const density = 0.25 * normal(1, 0, 1) * normal(0, 1, 2) + 0.75 * normal(1, 3, 0.5) * normal(0, -1, 0.5);
  expect(logDensity(mixture, [1, 0])).toBeCloseTo(Math.log(density), 12);
  expect(Number.isFinite(logDensity(mixture, [1e6, -1e6]))).toBe(true);
});

it("shows the points as letters of their components, and what the true mixture has", () => {
  const { input, expected, scored } = exampleOf(mixtureTask());
  const [row] = rowsOfPoints(mixtureTask().views.points.trainBatch(1, 1)) as [PointsRow];
  const lines = input.split("\n");
  expect(lines).toHaveLength(16);
  for (const line of lines) expect(line).toMatch(/^[·abcd]{56}$/);
  const letters = new Set(row.points.map((point) => "abcd"[closest(row, point)]));
  for (const letter of letters) expect(input).toContain(letter);
  expect(expected).toMatch(/^the mixture: a 0\.\d\d at \(/);
  const known = mean(row.points.map((point) => logDensity(row.mixture, point)));
  expect(scored).toBe(
    `the mean log-likelihood of the ${row.points.length} points; this mixture has ${known.toFixed(3)} nats`,
  );
  expect(exampleOf(mixtureTask({ dimensions: 1 })).input).toMatch(/^[·abcd]{56}$/);
  expect(exampleOf(mixtureTask({ dimensions: 3 })).scored).toContain("of which the first two numbers are drawn");
});

it("names what does not fit", () => {
  expect(() => mixtureTask({ components: 1 })).toThrow("mixture: components must be an integer ≥ 2, got 1");
  expect(() => mixtureTask({ dimensions: 0 })).toThrow("mixture: dimensions must be an integer ≥ 1, got 0");
  expect(() => mixtureTask({ spread: 0 })).toThrow("mixture: spread must be a number above 0, got 0");
  expect(() => mixtureTask({ deviation: Number.NaN })).toThrow("mixture: deviation must be a number above 0, got NaN");
});
