import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossingsOf } from "../../src/compare/report/client/crossings.ts";
import { bytesText, countText, durationText, plain, spreadText } from "../../src/compare/report/client/format.ts";
import { intervalScale } from "../../src/compare/report/client/interval-scale.ts";
import { lookOf } from "../../src/compare/report/client/palette.ts";
import { cornersOf, frontOf } from "../../src/compare/report/client/pareto.ts";
import { rankName, rankText } from "../../src/compare/report/client/rank-text.ts";
import { scaleOf } from "../../src/compare/report/client/scale.ts";
import { spreadOut } from "../../src/compare/report/client/spread-out.ts";
import { curveBand } from "../../src/compare/report/curve-band.ts";
import type { VariantData } from "../../src/compare/report/report-data.ts";
import { settingsTable } from "../../src/compare/report/settings-table.ts";

describe("axes", () => {
  const values = fc
    .tuple(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), fc.double({ min: 1e-6, max: 3, noNaN: true }))
    .map(([low, decades]) => [low, low * 10 ** decades]);
  const axis = { label: "", text: String };

  it.each([
    ["linear", plain],
    ["linear", countText],
    ["log", countText],
    ["log", bytesText],
    ["log", plain],
  ] as const)("on %s ones all ticks read differently and lie within the range", (scale, tick) => {
    fc.assert(
      fc.property(values, fc.integer({ min: 2, max: 12 }), (ends, count) => {
        const { ticks, min, max } = scaleOf({ ...axis, scale, tick }, ends, count);
        expect(new Set(ticks.map(({ text }) => text)).size).toBe(ticks.length);
        expect(ticks.length).toBeLessThanOrEqual(2 * count + 2);
        for (const { at } of ticks)
          expect(at >= min - 1e-9 * Math.abs(min) - 1e-9 && at <= max + 1e-9 * Math.abs(max) + 1e-9).toBe(true);
      }),
    );
  });

  it("losses that are near to each other have the digits that tell them apart", () => {
    const { ticks } = scaleOf({ ...axis, scale: "linear", tick: plain }, [3.4589, 3.4604], 6);
    expect(ticks.length).toBeGreaterThan(3);
    expect(ticks.map(({ text }) => text)).toContain("3.46000");
  });

  it("costs that differ by little lie near each other, others fill the axis", () => {
    const cost = { ...axis, scale: "log", tick: countText, leastRatio: 1.5 } as const;
    const near = scaleOf(cost, [59_500, 61_800], 6);
    expect(10 ** (near.max - near.min)).toBeCloseTo(1.5);
    expect((near.min + near.max) / 2).toBeCloseTo(Math.log10(59_500 * 61_800) / 2);
    const far = [1000, 9000];
    expect(scaleOf(cost, far, 6)).toEqual(scaleOf({ ...cost, leastRatio: 1 }, far, 6));
  });

  it("a single value has a range around it", () => {
    const { min, max, ticks } = scaleOf({ ...axis, scale: "log", tick: countText }, [1000], 4);
    expect(min).toBeLessThan(3);
    expect(max).toBeGreaterThan(3);
    expect(ticks.length).toBeGreaterThan(0);
  });
});

/** Units do not leave their numbers. */
const plainSpaces = (text: string) => text.replaceAll("\u00a0", " ");

it("numbers read as people write them", () => {
  expect([999, 1000, 45_231, 1.3e6, 0.00001234].map((value) => countText(value))).toEqual([
    "999",
    "1k",
    "45.2k",
    "1.3M",
    "1.23e-5",
  ]);
  expect([512, 16_384, 4.12e8, 1.3e9].map((value) => plainSpaces(bytesText(value)))).toEqual([
    "512 B",
    "16.4 kB",
    "412 MB",
    "1.3 GB",
  ]);
  expect([2.52, 42.4, 185, 7260].map((value) => plainSpaces(durationText(value)))).toEqual([
    "2.5 s",
    "42 s",
    "3 min 05 s",
    "2 h 01 min",
  ]);
  expect(countText(null)).toBe("–");
});

it("± is half of a 95 % interval, as in the terminal", () => {
  // Three seeds: t(0.975, 2) = 4.303 and a standard deviation of 0.1, so 4.303 · 0.1 / √3.
  expect(spreadText({ values: [0.9, 1, 1.1], mean: 1, deviation: 0.1 })).toBe("1.000 ± 0.248");
  expect(spreadText({ values: [1], mean: 1 })).toBe("1.000");
});

describe("the scale of intervals", () => {
  it("holds them whole, also where one is wide or all means are the same", () => {
    const wide = [0.624 - 1.477, 0.624 + 1.477] as const;
    expect(intervalScale([wide, [0.414, 0.638]])).toEqual(wide);
    expect(intervalScale([[0.414, 0.638], wide])).toEqual(wide);
    expect(
      intervalScale([
        [0.058, 0.068],
        [0.057, 0.069],
      ]),
    ).toEqual([0.057, 0.069]);
    expect(intervalScale([[0, 0]])).toEqual([-1, 1]);
  });

  it("is not stretched by one that is much wider than most, unless it is the best", () => {
    const usual = [
      [8, 9],
      [5, 6],
    ] as const;
    expect(intervalScale([...usual, [-10, 20]])).toEqual([5, 9]);
    expect(intervalScale([...usual, [-10, 12]])).toEqual([1, 9]);
    expect(intervalScale([[-10, 20], ...usual])).toEqual([-10, 20]);
  });
});

it("ranks are shared, and with one seed there is an order", () => {
  expect(rankText({ rank: { from: 1, to: 3 }, place: 2 }, 3)).toBe("1–3");
  expect(rankText({ rank: { from: 4, to: 4 }, place: 4 }, 3)).toBe("4");
  expect(rankText({ rank: { from: 1, to: 3 }, place: 2 }, 1)).toBe("2");
  expect(rankText({}, 3)).toBe("–");
  expect([3, 1].map(rankName)).toEqual(["rank", "order"]);
});

it("56 variants all look different, by colour and marker", () => {
  const looks = Array.from({ length: 56 }, (_, slot) => lookOf(slot));
  expect(new Set(looks.map(({ colour, shape }) => `${colour} ${shape}`)).size).toBe(56);
});

describe("the Pareto front", () => {
  it("is what nothing beats that is shown", () => {
    const names = ["good", "cheap", "poor", "dear"];
    const variants = names.map((variant) => ({ variant }) as VariantData);
    const memory = { good: [], cheap: [], poor: [1], dear: [0, 2] };
    const none = { time: {}, parameters: {}, flops: {}, state: {} };
    const task = { variants, beatenBy: { ...none, memory } };
    expect(frontOf(task, "memory", names)).toEqual(["good", "cheap"]);
    expect(frontOf(task, "memory", ["good", "poor", "dear"])).toEqual(["good", "poor"]);
    expect(frontOf(task, "memory", ["dear"])).toEqual(["dear"]);
  });

  it("has corners that nothing beats in means, by their definition", () => {
    const coordinate = fc.integer({ min: 0, max: 9 });
    const direction = fc.constantFrom("lower", "higher");
    fc.assert(
      fc.property(fc.array(fc.record({ x: coordinate, y: coordinate })), direction, direction, (points, x, y) => {
        const front = cornersOf(points, { x, y });
        const atLeast = (better: string, a: number, b: number) => (better === "lower" ? a <= b : a >= b);
        for (const point of points) {
          const beaten = points.some(
            (other) =>
              atLeast(x, other.x, point.x) &&
              atLeast(y, other.y, point.y) &&
              (other.x !== point.x || other.y !== point.y),
          );
          expect(front.includes(point)).toBe(!beaten);
        }
      }),
    );
  });
});

describe("crossings", () => {
  const line = (variant: string, ...ys: number[]) => ({ variant, points: ys.map((y, i) => ({ x: 128 * 2 ** i, y })) });

  it("lie where the lines meet on logarithmic axes", () => {
    const [crossing] = crossingsOf(
      [{ variants: ["flat"], others: ["steep"], all: false, from: 256, by: "speed" }],
      [line("steep", 10, 40), line("flat", 20, 20)],
      "speed",
    );
    // log 10 → log 40 passes log 20 half-way, where the length is 128 · √2.
    expect(crossing!.x).toBeCloseTo(128 * Math.SQRT2);
    expect(crossing!.y).toBeCloseTo(20);
  });

  it("of the same others are told together, and leave out what is not drawn", () => {
    const crossovers = [
      { variants: ["a", "b", "hidden"], others: ["steep", "gone"], all: false, from: 256, by: "memory" as const },
      { variants: ["a"], others: ["b"], all: false, from: 128, to: 256, by: "memory" as const },
    ];
    const found = crossingsOf(crossovers, [line("steep", 10, 40), line("a", 20, 20), line("b", 21, 21)], "memory");
    expect(found).toMatchObject([{ variants: ["a", "b"], others: ["steep"], number: 1 }]);
    expect(crossingsOf(crossovers, [line("steep", 10, 40), line("a", 20, 20)], "speed")).toEqual([]);
  });
});

describe("curves over seeds", () => {
  const curve = (losses: Readonly<Record<number, number>>) =>
    Object.entries(losses).map(([step, loss]) => ({ step: Number(step), loss }));

  it("have mean, lowest and highest at each step", () => {
    const curves = [curve({ 1: 3, 2: 2 }), curve({ 1: 5, 2: 3 })];
    expect(curveBand(curves, true)).toEqual({ steps: [1, 2], mean: [4, 2.5], low: [3, 2], high: [5, 3] });
    expect(curveBand(curves, false)).toEqual({ steps: [1, 2], mean: [4, 2.5] });
    expect(curveBand([], false)).toEqual({ steps: [], mean: [] });
  });

  it("have no point of some seeds alone: a search has evaluated the first one earlier", () => {
    const searched = curve({ 10: 9, 30: 5, 60: 4, 90: 1 });
    expect(curveBand([searched, curve({ 90: 3 })], true)).toEqual({ steps: [90], mean: [2], low: [1], high: [3] });
    // At step 60 the other one is half-way between its own points.
    expect(curveBand([searched, curve({ 30: 7, 90: 3 })], false)).toEqual({ steps: [30, 60, 90], mean: [6, 4.5, 2] });
  });

  it("end where the first seed ends or diverges", () => {
    const short = curve({ 1: 4, 2: 2, 3: Number.NaN, 4: Number.NaN });
    expect(curveBand([short, curve({ 1: 4, 2: 4, 3: 4, 4: 4 })], false)).toEqual({ steps: [1, 2], mean: [4, 3] });
    expect(curveBand([curve({ 1: Number.NaN }), curve({ 1: 4 })], false).steps).toEqual([]);
  });

  it("keep their ends where they are thinned", () => {
    const long = Array.from({ length: 5000 }, (_, i) => ({ step: i + 1, loss: 1 }));
    const { steps } = curveBand([long], false);
    expect(steps).toHaveLength(80);
    expect([steps[0], steps.at(-1)]).toEqual([1, 5000]);
  });
});

it("settings are sorted into those that all have and those that differ, by dotted names", () => {
  const { common, own } = settingsTable([
    { steps: 5, model: { kind: "gpt", mixer: { kind: "local", window: 8 } }, tags: ["a", "b"] },
    { steps: 5, model: { kind: "gpt", mixer: { kind: "softmax" } }, tags: ["a", "b"] },
  ]);
  expect(common).toEqual({ steps: "5", model: "gpt", tags: "a, b" });
  expect(own).toEqual([{ "model.mixer": "local", "model.mixer.window": "8" }, { "model.mixer": "softmax" }]);
});

describe("labels at the ends of lines", () => {
  it("keep their order and a distance, and stay where there is room", () => {
    const positions = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(positions, (places) => {
        const moved = spreadOut(places, 15);
        const order = places.map((_, i) => i).sort((a, b) => places[a]! - places[b]!);
        const gaps = order.slice(1).map((i, place) => moved[i]! - moved[order[place]!]!);
        for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(15 - 1e-9);
        const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
        expect(mean(moved)).toBeCloseTo(mean(places));
      }),
    );
    expect(spreadOut([50, 0, 52, 90], 10)).toEqual([46, 0, 56, 90]);
  });
});
