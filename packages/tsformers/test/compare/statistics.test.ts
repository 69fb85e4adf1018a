import { describe, expect, it } from "vitest";
import {
  compareSpreads,
  evaluationError,
  evaluationMargin,
  holm,
  intervalOfMean,
  marginOver,
  resolution,
  seeded,
  toldFromFirst,
} from "../../src/compare/statistics/statistics.ts";
import { bothTails, criticalT } from "../../src/compare/statistics/student-t.ts";
import { spread } from "../../src/compare/statistics/summaries.ts";

/** Values of the seeds 0, 1, 2, … */
const over = (...values: number[]) => seeded(spread(values), [...values.keys()]);
/** Values of seeds that nothing else has. */
const apart = (...values: number[]) => spread(values);

describe("Student's t", () => {
  // scipy 1.17.1: t.ppf((1 + level) / 2, freedom)
  it.each([
    [0.95, 1, 12.706204736174694],
    [0.95, 2, 4.302652729749462],
    [0.95, 4, 2.7764451051977934],
    [0.95, 2.7, 3.3921483831737507],
    [0.99, 9, 3.249835541592126],
    [0.95, 1e6, 1.959966356814107],
    [0.999, 1, 636.6192487687897],
    [0.95, 0.3, 6582.0356994007525],
  ])("has the quantiles of the tables: level %d, %d degrees", (level, freedom, expected) => {
    expect(criticalT(level, freedom) / expected).toBeCloseTo(1, 9);
  });

  // scipy 1.17.1: 2 * t.sf(t, freedom)
  it.each([
    [2, 3, 0.13932596855884305],
    [0, 3, 1],
    [50, 2, 0.00039976015988808057],
    [1e-9, 2, 0.9999999992928932],
    [1e200, 2, 0],
    [0.1, 200, 0.920444492504321],
    [1e5, 2, 9.999999998500001e-11],
    [3, 1e7, 0.0026998027110371635],
  ])("has their tails: beyond %d, %d degrees", (t, freedom, expected) => {
    expect(Math.abs(bothTails(t, freedom) - expected)).toBeLessThanOrEqual(1e-8 * expected + 1e-15);
    expect(bothTails(-t, freedom)).toBe(bothTails(t, freedom));
  });

  it("wants degrees of freedom and a level", () => {
    expect(() => bothTails(1, 0)).toThrow("degrees of freedom: expected a number above 0, got 0");
    expect(() => criticalT(1, 2)).toThrow("level: expected a number between 0 and 1, got 1");
  });
});

describe("the interval of a mean", () => {
  it("is that of the t distribution", () => {
    // scipy.stats.t.interval(0.95, 2, loc=mean, scale=sem) of [1.47, 1.49, 1.45]
    const { mean, low, high } = intervalOfMean(spread([1.47, 1.49, 1.45]));
    expect(mean).toBeCloseTo(1.47, 12);
    expect(low).toBeCloseTo(1.4203172458, 8);
    expect(high).toBeCloseTo(1.5196827542, 8);
  });

  it("is absent for one seed and for figures that are no numbers", () => {
    expect(intervalOfMean(spread([1.5]))).toEqual({ mean: 1.5 });
    expect(intervalOfMean(spread([1.5, Number.NaN]))).toEqual({ mean: Number.NaN });
  });

  it("is not empty where all seeds agree", () => {
    const { low, high } = intervalOfMean(spread([1, 1, 1]));
    expect(high! - low!).toBeCloseTo((2 * resolution * 4.30265273) / Math.sqrt(3), 8);
  });
});

describe("comparing two figures", () => {
  it("pairs the runs of the same seeds", () => {
    // scipy.stats.ttest_rel([1.40, 1.52, 1.61], [1.43, 1.56, 1.63]): p = 0.03509871864598556, interval -0.0548413771 … -0.0051586229
    const found = compareSpreads(over(1.4, 1.52, 1.61), over(1.43, 1.56, 1.63), "lower");
    expect(found).toMatchObject({ verdict: "better", paired: true });
    expect(found.difference).toBeCloseTo(-0.03, 12);
    expect(found.p).toBeCloseTo(0.03509871864598556, 8);
    expect(found.low).toBeCloseTo(-0.0548413771, 8);
    expect(found.high).toBeCloseTo(-0.0051586229, 8);
  });

  it("otherwise takes the variances to be different", () => {
    // scipy.stats.ttest_ind([0.70, 0.75, 0.80], [0.40, 0.60, 0.45, 0.50], equal_var=False)
    const found = compareSpreads(apart(0.7, 0.75, 0.8), apart(0.4, 0.6, 0.45, 0.5), "higher");
    expect(found).toMatchObject({ verdict: "better", paired: false });
    expect(found.difference).toBeCloseTo(0.2625, 12);
    expect(found.p).toBeCloseTo(0.004133685977573209, 8);
    expect(found.low).toBeCloseTo(0.128769807049, 8);
    expect(found.high).toBeCloseTo(0.396230192951, 8);
  });

  it("uses the seeds that both have, if there are two", () => {
    const lost = seeded(spread([1.4, 1.61]), [0, 2]);
    expect(compareSpreads(lost, over(1.43, 9, 1.63), "lower").difference).toBeCloseTo(-0.025, 12);
    const one = seeded(spread([1.4, 1.61]), [0, 7]);
    expect(compareSpreads(one, over(1.43, 1.5, 1.63), "lower").paired).toBe(false);
  });

  it("knows which direction is better", () => {
    const [low, high] = [over(0.1, 0.11, 0.12), over(0.9, 0.92, 0.91)];
    expect(compareSpreads(low, high, "lower").verdict).toBe("better");
    expect(compareSpreads(low, high, "higher").verdict).toBe("worse");
    expect(compareSpreads(high, low, "lower").verdict).toBe("worse");
    expect(compareSpreads(high, low, "higher").verdict).toBe("better");
  });

  it("does not tell what lies within chance", () => {
    const { verdict, low, high } = compareSpreads(over(1.4, 1.5, 1.6), over(1.5, 1.45, 1.62), "lower");
    expect(verdict).toBe("cannot tell");
    expect(low).toBeLessThan(0);
    expect(high).toBeGreaterThan(0);
  });

  it("has no interval with one seed", () => {
    expect(compareSpreads(over(1), over(0.5), "higher")).toEqual({
      difference: 0.5,
      verdict: "one seed",
      paired: false,
    });
    expect(compareSpreads(over(1), over(0.5, 0.6), "higher").verdict).toBe("one seed");
  });

  it("does not make certainty of seeds that agree", () => {
    expect(compareSpreads(over(1, 1, 1), over(1, 1, 1), "higher")).toMatchObject({
      difference: 0,
      verdict: "cannot tell",
      p: 1,
    });
    expect(compareSpreads(over(0, 0, 0), over(0, 0, 0), "lower")).toMatchObject({
      low: 0,
      high: 0,
      verdict: "cannot tell",
    });
    expect(compareSpreads(over(1, 1, 1), over(0.998, 0.998, 0.998), "higher").verdict).toBe("cannot tell");
    const clear = compareSpreads(over(1, 1, 1), over(0, 0, 0), "higher");
    expect(clear.verdict).toBe("better");
    expect(clear.low).toBeLessThan(1);
    expect(clear.p).toBeGreaterThan(0);
  });

  it("says nothing about runs that diverged", () => {
    const found = compareSpreads(over(1, Number.NaN, 1), over(2, 2, 2), "lower");
    expect(found).toEqual({ difference: Number.NaN, verdict: "cannot tell", paired: true });
  });

  it("has intervals that hold the truth as often as they say", () => {
    // A small generator of its own, so that the numbers are always the same.
    let state = 1;
    const uniform = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const rounds = 2000;
    let [paired, unpaired] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const common = [normal(), normal(), normal()].map((x) => 5 + x);
      const [a, b] = [common.map((x) => x + 0.2 + 0.1 * normal()), common.map((x) => x + 0.1 * normal())];
      const holds = ({ low, high }: { low?: number; high?: number }) => low! <= 0.2 && high! >= 0.2;
      if (holds(compareSpreads(over(...a), over(...b), "lower"))) paired++;
      const c = [normal(), normal(), normal()].map((x) => 1.2 + 0.3 * x);
      const d = [normal(), normal(), normal(), normal()].map((x) => 1 + 0.1 * x);
      if (holds(compareSpreads(apart(...c), apart(...d), "lower"))) unpaired++;
    }
    // Three standard errors of a share of 0.95 of 2,000 are 0.015.
    expect(Math.abs(paired / rounds - 0.95)).toBeLessThan(0.015);
    // Welch's are a little too wide with so few.
    expect(unpaired / rounds).toBeGreaterThan(0.935);
    expect(unpaired / rounds).toBeLessThan(0.985);
  });
});

describe("looking at many", () => {
  it("corrects as Holm does", () => {
    // By hand: 3 × 0.01, 2 × 0.02, 1 × 0.03 → never less than the one before.
    expect(holm([0.03, 0.01, 0.02])).toEqual([0.04, 0.03, 0.04]);
    expect(holm([0.6, 0.9])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });
});

describe("the error of a finite evaluation", () => {
  it("is binomial", () => {
    expect(evaluationError(0.5, 10_000)).toBeCloseTo(0.005, 5);
    expect(evaluationError(0.9, 1000)).toBeCloseTo(Math.sqrt(0.09 / 1000), 4);
  });

  it("is not 0 where all answers are right", () => {
    expect(evaluationError(1, 100)).toBeCloseTo(Math.sqrt(((101 / 102) * (1 / 102)) / 102), 12);
  });

  it("and that of the seeds are added against a baseline", () => {
    const figure = { ...over(0.2, 0.22, 0.24), rows: 400 };
    // scipy.stats.t.ppf(0.975, 2) · 0.02 / √3
    const seeds = 4.302652729911275 * (0.02 / Math.sqrt(3));
    expect(marginOver(over(0.2, 0.22, 0.24), 0.15)).toBeCloseTo(seeds, 9);
    const [own, baseline] = [0.22, 0.15].map((p) => evaluationMargin(p, 400));
    expect(own).toBeCloseTo(1.96 * Math.sqrt((0.22 * 0.78) / 400), 3);
    expect(marginOver(figure, 0.15)).toBeCloseTo(Math.sqrt(seeds ** 2 + own! ** 2 + baseline! ** 2), 9);
    expect(marginOver({ ...over(0.22), rows: 400 }, 0.15)).toBeCloseTo(Math.hypot(own!, baseline!), 9);
  });

  it("seldom takes models that guess for better than the most frequent class", () => {
    let state = 7;
    const uniform = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const [rounds, rows] = [2000, 200];
    let wrong = 0;
    for (let round = 0; round < rounds; round++) {
      // One of five classes for each row; the baseline says 0, and a model that has learned nothing says 1 under every seed.
      const classes = Array.from({ length: rows }, () => Math.floor(5 * uniform()));
      const share = (answer: number) => classes.filter((one) => one === answer).length / rows;
      const model = { ...over(share(1), share(1), share(1)), rows };
      if (model.mean - share(0) > marginOver(model, share(0))) wrong++;
    }
    expect(wrong / rounds).toBeLessThan(0.06);
  });
});

describe("differences of few rows", () => {
  const shares = (rows: number, ...right: number[]) => ({ ...over(...right.map((one) => one / rows)), rows });

  it("tell nothing, however sure the seeds are", () => {
    const [best, five, six] = [shares(500, 400, 400, 400), shares(500, 395, 395, 395), shares(500, 394, 394, 394)];
    const found = compareSpreads(best, five, "higher");
    expect(found.low).toBeGreaterThan(0);
    expect(found).toMatchObject({ verdict: "cannot tell" });
    expect(found.fewRows).toBeCloseTo(5, 9);
    expect(compareSpreads(best, six, "higher")).toMatchObject({ verdict: "better" });
    expect(compareSpreads(best, six, "higher")).not.toHaveProperty("fewRows");
    expect(toldFromFirst([best, five, six], "higher").map(({ isTold }) => isTold)).toEqual([false, false, true]);
  });

  it("are not looked for where the seeds cannot tell, nor where nobody knows how many rows there were", () => {
    const [a, b] = [shares(500, 400, 390, 410), shares(500, 399, 391, 408)];
    expect(compareSpreads(a, b, "higher")).not.toHaveProperty("fewRows");
    expect(compareSpreads(over(0.8, 0.8, 0.8), over(0.79, 0.79, 0.79), "higher").verdict).toBe("better");
  });
});
