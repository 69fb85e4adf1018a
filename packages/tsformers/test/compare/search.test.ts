import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bestTrial,
  nextTrial,
  rungsOf,
  stepAt,
  type TrialOutcome,
  triedValues,
} from "../../src/compare/execution/search.ts";

const over = { "learning-rate": ["1e-4", "1e-3"], warmUp: ["0", "10", "20"] };
const settings = { over, trials: 4, seed: 0 };

describe("values", () => {
  it("of a grid are all combinations", () => {
    const tried = triedValues({ ...settings, method: "grid" });
    expect(tried).toHaveLength(6);
    expect(tried[1]).toEqual({ "learning-rate": "1e-4", warmUp: "10" });
    expect(() => triedValues({ ...settings, over: { a: ["1..2"] }, method: "grid" })).toThrow(/a grid needs values/);
  });

  it("that are drawn from lists are different combinations, the same under one seed", () => {
    const tried = triedValues({ ...settings, method: "random" });
    expect(new Set(tried.map((one) => JSON.stringify(one))).size).toBe(4);
    expect(triedValues({ ...settings, method: "random" })).toEqual(tried);
    expect(triedValues({ ...settings, method: "random", seed: 1 })).not.toEqual(tried);
    expect(triedValues({ ...settings, method: "asha", trials: 100 })).toHaveLength(6);
  });

  it("of a range are drawn log-uniformly from all of it", () => {
    const tried = triedValues({ over: { rate: ["1e-4..1e-2"] }, method: "random", trials: 2000, seed: 3 });
    const values = tried.map(({ rate }) => Number(rate));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...values)).toBeLessThanOrEqual(1e-2);
    // Half below the geometric mean, within five standard deviations.
    const below = values.filter((value) => value < 1e-3).length;
    expect(Math.abs(below - 1000)).toBeLessThan(5 * Math.sqrt(500));
    for (const wrong of ["0..1", "2..1", "a..b", "1.."])
      expect(() => triedValues({ over: { rate: [wrong] }, method: "random", trials: 1, seed: 0 })).toThrow(
        `search of rate: expected a range of positive numbers such as 1e-4..1e-2, got ${wrong}`,
      );
  });
});

const trialsOf = (count: number, stepsOf: (i: number) => number = () => 900): TrialOutcome[] =>
  Array.from({ length: count }, (_, i) => ({
    settings: { i: String(i) },
    run: { id: String(i), job: { config: { steps: stepsOf(i) } } } as never,
    rungs: [],
  }));

/** Runs a search with one worker; candidate i has loss i at every rung. */
function play(count: number, steps: number, failing: readonly number[] = []) {
  let trials = trialsOf(count, () => steps);
  const rungs = rungsOf("asha");
  const made: [number, number][] = [];
  for (let next = nextTrial(trials, new Set(), rungs); next; next = nextTrial(trials, new Set(), rungs)) {
    const { trial, step } = next;
    const i = Number(trial.settings.i);
    made.push([i, step]);
    trials = trials.map((one) => {
      if (one.run !== trial.run) return one;
      return failing.includes(i) ? { ...one, failure: "failed" } : { ...one, rungs: [...one.rungs, { step, loss: i }] };
    });
    if (made.length > 1000) throw new Error("it does not end");
  }
  return { made, best: bestTrial(trials, rungs), rungs };
}

describe("successive halving", () => {
  it("compares after a ninth, a third and the whole run", () => {
    const [trial] = trialsOf(1);
    expect(rungsOf("asha").map((rung) => stepAt(trial!, rung))).toEqual([100, 300, 900]);
    expect(rungsOf("grid").map((rung) => stepAt(trial!, rung))).toEqual([900]);
    // Another batch takes another number of steps to the same place.
    const [shorter] = trialsOf(1, () => 450);
    expect(rungsOf("asha").map((rung) => stepAt(shorter!, rung))).toEqual([50, 150, 450]);
  });

  it("takes a third of each rung on, and the best to the end", () => {
    const { made, best } = play(9, 900);
    expect(made.filter(([, step]) => step === 100)).toHaveLength(9);
    expect(made.filter(([, step]) => step === 300).map(([i]) => i)).toEqual([0, 1, 2]);
    expect(made.filter(([, step]) => step === 900).map(([i]) => i)).toEqual([0]);
    expect(best!.settings.i).toBe("0");
  });

  it("ends with the best of those that did not fail, whatever their number", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.nat(39)),
        fc.integer({ min: 1, max: 500 }),
        (count, failing, steps) => {
          const { best, made } = play(count, steps, failing);
          const survivors = Array.from({ length: count }, (_, i) => i).filter((i) => !failing.includes(i));
          expect(best?.settings.i).toBe(survivors.length === 0 ? undefined : String(survivors[0]));
          // No candidate is worked on twice at a rung.
          expect(new Set(made.map(String)).size).toBe(made.length);
        },
      ),
    );
  });

  it("gives a second worker other work, and none where it must wait", () => {
    const trials = trialsOf(2);
    const rungs = rungsOf("asha");
    expect(nextTrial(trials, new Set([trials[0]!.run]), rungs)!.trial).toBe(trials[1]);
    expect(nextTrial(trials, new Set(trials.map(({ run }) => run)), rungs)).toBeUndefined();
  });
});
