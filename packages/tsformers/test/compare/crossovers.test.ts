import { describe, expect, it } from "vitest";
import type { StepCost } from "../../src/compare/results.ts";
import { crossoversOf, crossoverText } from "../../src/compare/statistics/crossovers.ts";
import { type MeasuredStep, measuredSteps } from "../../src/compare/statistics/step-costs.ts";
import { summarise, type VariantSummary } from "../../src/compare/statistics/summaries.ts";
import { richComparison } from "./measured-fixture.ts";

const measured = (variant: string, ...speeds: (number | undefined)[]): VariantSummary => ({
  task: "text",
  variant,
  pretrained: false,
  seeds: [0],
  failures: [],
  metrics: {},
  byLength: [],
  steps: speeds.map((tokensPerSecond, i): StepCost => {
    const length = 64 * 2 ** i;
    if (tokensPerSecond === undefined) return { length, missing: "" };
    return { length, rows: 1, tokensPerSecond, peakBytes: 1e8, flopsPerToken: 1 };
  }),
});

describe("crossovers", () => {
  const texts = (...summaries: VariantSummary[]) => crossoversOf(summaries).map(crossoverText);
  const against = (reference: string, ...summaries: VariantSummary[]) =>
    crossoversOf(summaries, { reference }).map(crossoverText);

  it("are the lengths from which on one is faster", () => {
    expect(texts(measured("softmax", 100, 80, 40, 20), measured("linear", 60, 60, 60, 60))).toEqual([
      "From length 256 on, linear is faster than softmax.",
    ]);
    expect(texts(measured("a", 100, 54, 20), measured("b", 90, 60, 20), measured("c", 50, 55, 60))).toEqual([
      "At length 256, the longest measured for these, c is faster than all others.",
    ]);
  });

  it("need more than chance, and lengths that both have", () => {
    expect(texts(measured("a", 100, 100), measured("b", 100, 104))).toEqual([]);
    expect(texts(measured("a", 100, 100, undefined), measured("b", 100, 90.95, 60))).toEqual([]);
    expect(texts(measured("a"), measured("b", 50, 50))).toEqual([]);
  });

  it("say what is faster at every length", () => {
    expect(texts(measured("a", 100, 100, 100), measured("b", 50, 50, 90))).toEqual([
      "At every measured length, 64 to 256, a is faster than b.",
    ]);
    expect(texts(measured("a", 100, 100, 100), measured("b", 50))).toEqual(["At length 64, a is faster than b."]);
    expect(texts(measured("a", 100, 100), measured("b", 50, 50), measured("c", 20, 80))).toEqual([
      "At every measured length, 64 to 128, a is faster than all others.",
      "At length 128, the longest measured for these, c is faster than b.",
    ]);
  });

  it("need two lengths where there is a reference, with which costs are compared anyhow", () => {
    expect(against("a", measured("a", 100), measured("b", 50), measured("c", 20))).toEqual([]);
    expect(against("a", measured("a", 100, 100), measured("b", 50, 50))).toHaveLength(1);
  });

  it("need more where others were at work, or parts of a measurement differ", () => {
    const disturbed = (summary: VariantSummary, more: Partial<MeasuredStep>) => ({
      ...summary,
      steps: measuredSteps(summary).map((step) => ({ ...step, ...more })),
    });
    const [a, b] = [measured("a", 100, 100), measured("b", 150, 150)];
    expect(texts(a, b)).toEqual(["At every measured length, 64 to 128, b is faster than a."]);
    for (const more of [{ othersShare: 0.4 }, { spread: 0.6 }]) {
      expect(texts(disturbed(a, more), b)).toEqual([]);
      expect(texts(a, disturbed(measured("b", 170, 170), more))).toHaveLength(1);
    }
  });

  it("say the same of several variants once", () => {
    expect(
      against("full", measured("full", 50, 10), measured("a", 50, 40), measured("b", 51, 42), measured("c", 80, 41)),
    ).toEqual([
      "At length 128, the longest measured for these, a and b are faster than full.",
      "At every measured length, 64 to 128, c is faster than full.",
    ]);
  });

  it("are those with the reference where there are many", () => {
    const many = ["a", "b", "c", "d", "e"].map((name, i) => measured(name, 40 - 5 * i, 100 + 20 * i));
    expect(against("full", measured("full", 60, 50), ...many)).toEqual([
      "At length 128, the longest measured for these, a, b, c, d and e are faster than full.",
    ]);
  });

  it("read well in a whole comparison", () => {
    const summaries = summarise(richComparison()).filter(({ task, pretrained }) => task === "text" && !pretrained);
    const lsh = "gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary";
    expect(crossoversOf(summaries, { reference: "softmax" }).map(crossoverText)).toEqual([
      "From length 1,024 on, window=64 is faster than softmax.",
      "From length 2,048 on, linear is faster than softmax.",
      `At length 4,096, the longest measured for these, ${lsh} is faster than softmax.`,
      "From length 1,024 on, window=64 takes less memory than softmax.",
      "From length 1,024 on, linear takes less memory than softmax and window=64.",
      "At length 2,048, the longest measured for these, delta-net takes less memory than softmax.",
      `From length 2,048 on, ${lsh} takes less memory than softmax.`,
    ]);
  });
});
