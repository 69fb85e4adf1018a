import { foldIn, randomKey, uniform } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { hoeffdingBentkus, learnThenTest } from "../../src/depth/adaptive/learn-then-test.ts";

/** Losses of 0 and 1 at thresholds of known risk, of examples that are drawn anew. */
function lossesOf(seed: number, examples: number, risks: readonly number[]): number[][] {
  const draws = uniform(foldIn(randomKey(17), seed), [examples]).toNumbers();
  return draws.map((draw) => risks.map((risk) => (draw < risk ? 1 : 0)));
}

describe("the guarantee, over 100 calibration sets", () => {
  const bound = { risk: 0.1, error: 0.1 };
  const resamplings = 100;

  test.each([
    ["finely graded", [0, 0.02, 0.05, 0.08, 0.095, 0.105, 0.12, 0.2]],
    ["where the first that is not safe is as near as can be", [0.02, 0.1001, 0.3]],
  ])("thresholds %s: the risk of the chosen one is above δ in few", (_, risks) => {
    let exceeded = 0;
    let accepted = 0;
    for (let seed = 0; seed < resamplings; seed++) {
      const { selected } = learnThenTest(lossesOf(seed, 200, risks), bound);
      if (selected >= 0 && risks[selected]! > bound.risk) exceeded++;
      if (selected > 0 || (selected === 0 && risks[0]! > 0)) accepted++;
    }
    // ε plus two standard errors of a share of 100.
    expect(exceeded / resamplings).toBeLessThanOrEqual(
      bound.error + 2 * Math.sqrt((bound.error * (1 - bound.error)) / resamplings),
    );
    // It is no guarantee by refusing everything.
    expect(accepted / resamplings).toBeGreaterThan(0.5);
  });

  test("choosing by the mean alone would break it", () => {
    const risks = [0.05, 0.1001, 0.3];
    const naive = Array.from({ length: resamplings }, (_, seed) => {
      const losses = lossesOf(seed, 200, risks);
      return losses.reduce((sum, row) => sum + row[1]!, 0) / losses.length <= bound.risk;
    });
    expect(naive.filter(Boolean).length / resamplings).toBeGreaterThan(0.25);
  });
});

test("tests end at the first threshold that fails, even if later ones would pass", () => {
  const good = new Array<number>(100).fill(0);
  const rows = good.map((_, i) => [0, i < 40 ? 1 : 0, 0]);
  expect(learnThenTest(rows, { risk: 0.2, error: 0.05 }).selected).toBe(0);
  expect(
    learnThenTest(
      rows.map(([, bad]) => [bad!]),
      { risk: 0.2, error: 0.05 },
    ).selected,
  ).toBe(-1);
});

test("p-values: none lost on the way, 1 where the mean is at the bound", () => {
  expect(hoeffdingBentkus(0, 1000, 0.5)).toBeGreaterThan(0);
  expect(hoeffdingBentkus(20, 100, 0.2)).toBeGreaterThan(0.5);
  // Of no loss at all: (1 − δ)ⁿ, which is what Hoeffding's bound gives, too.
  expect(hoeffdingBentkus(0, 10, 0.2)).toBeCloseTo(0.8 ** 10, 12);
});

test.each<[string, number[][], object, string]>([
  ["a loss above 1", [[0.5], [1.5]], {}, "between 0 and 1, got 1.5 in example 1"],
  ["a loss that is no number", [[Number.NaN]], {}, "got NaN in example 0"],
  ["rows of different lengths", [[0, 1], [0]], {}, "example 1 has 1 losses, the first has 2"],
  ["nothing", [], {}, "at least one example"],
  ["an impossible risk", [[0]], { risk: 1 }, "expected risk between 0 and 1, got 1"],
  ["an impossible error", [[0]], { error: -0.1 }, "expected error between 0 and 1, got -0.1"],
])("%s is refused", (_, losses, bound, words) => {
  expect(() => learnThenTest(losses, { risk: 0.1, error: 0.1, ...bound })).toThrow(words);
});
