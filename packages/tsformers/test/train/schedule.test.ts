import { describe, expect, it, test } from "vitest";
import { schedules } from "../../src/catalogue/schedules.ts";

import { constantRate, inverseSquareRoot, warmupCosine } from "../../src/train/schedules/index.ts";

describe("constantRate", () => {
  it("is the same everywhere", () => expect([0, 1, 1e6].map(constantRate(0.1))).toEqual([0.1, 0.1, 0.1]));
  it("refuses a rate that is none", () => {
    expect(() => constantRate(Number.NaN)).toThrow(/rate must be a finite number ≥ 0, got NaN/);
    expect(() => constantRate(-1)).toThrow(RangeError);
  });
});

describe("warmupCosine", () => {
  const schedule = warmupCosine({ peak: 2, warmupSteps: 10, totalSteps: 110, floor: 0.25 });

  it("rises in a straight line to the peak", () => {
    expect([0, 1, 5, 10].map(schedule)).toEqual([0, 0.2, 1, 2]);
  });
  it("falls as half a cosine to the floor and stays there", () => {
    expect(schedule(35)).toBeCloseTo(0.5 + 0.75 * (1 + Math.SQRT1_2));
    expect(schedule(60)).toBeCloseTo(1.25);
    expect(schedule(109)).toBeGreaterThan(0.5);
    expect([110, 1000].map(schedule)).toEqual([0.5, 0.5]);
  });
  it("works without warm-up and with nothing but warm-up", () => {
    expect(warmupCosine({ peak: 2, warmupSteps: 0, totalSteps: 10 })(0)).toBe(2);
    const onlyWarmup = warmupCosine({ peak: 2, warmupSteps: 10, totalSteps: 10 });
    expect([9, 10].map(onlyWarmup)).toEqual([1.8, 0.2]);
  });
  it("refuses a warm-up beyond the end and a floor that is no share of the peak", () => {
    expect(() => warmupCosine({ peak: 1, warmupSteps: 11, totalSteps: 10 })).toThrow(/11 of 10/);
    expect(() => warmupCosine({ peak: 1, warmupSteps: 1, totalSteps: 10, floor: 2 })).toThrow(
      /floor must lie between 0 and 1, got 2/,
    );
  });
});

describe("inverseSquareRoot", () => {
  const schedule = inverseSquareRoot({ modelWidth: 512, warmupSteps: 4000 });

  it("has the paper's values for the base model", () => {
    expect(schedule(0)).toBe(0);
    expect(schedule(1)).toBeCloseTo(1.7469e-7, 10);
    expect(schedule(4000)).toBeCloseTo(6.9877e-4, 8);
    expect(schedule(100_000)).toBeCloseTo(1.3975e-4, 8);
  });
  it("peaks at the end of the warm-up and halves at four times that step", () => {
    expect(schedule(3999)).toBeLessThan(schedule(4000));
    expect(schedule(4001)).toBeLessThan(schedule(4000));
    expect(schedule(16_000)).toBeCloseTo(schedule(4000) / 2, 12);
  });
  it("scales", () => {
    expect(inverseSquareRoot({ modelWidth: 512, warmupSteps: 4000, scale: 3 })(77)).toBeCloseTo(3 * schedule(77), 15);
    expect(() => inverseSquareRoot({ modelWidth: 0, warmupSteps: 1 })).toThrow(/modelWidth/);
    expect(() => inverseSquareRoot({ modelWidth: 8, warmupSteps: 0 })).toThrow(/warmupSteps/);
  });
});

test("cosine is the same from code and from a configuration", () => {
  const [made, entry] = [
    warmupCosine({ peak: 2, warmupSteps: 5, totalSteps: 100 }),
    schedules.cosine.make({}, { learningRate: 2, steps: 100 }),
  ];
  expect([0, 3, 5, 40, 100, 120].map(entry)).toEqual([0, 3, 5, 40, 100, 120].map(made));
});
