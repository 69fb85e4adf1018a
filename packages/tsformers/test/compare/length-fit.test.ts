import { describe, expect, it } from "vitest";
import { fitByLength } from "../../src/compare/statistics/length-fit.ts";

/** A step of 4,096 tokens, or one row. */
const points = (lengths: readonly number[], value: (length: number, rows: number) => number) =>
  lengths.map((length) => {
    const rows = Math.max(1, Math.floor(4096 / length));
    return { length, rows, value: value(length, rows) };
  });

describe("a fit by length", () => {
  it("finds a linear and a quadratic part of time", () => {
    const fit = fitByLength(
      points([512, 1024, 4096], (n, rows) => rows * (3e-5 * n + 2e-8 * n * n)),
      "time",
    )!;
    expect(fit.at(8192, 1)).toBeCloseTo(3e-5 * 8192 + 2e-8 * 8192 ** 2, 9);
    expect(fit).toMatchObject({ points: 3, from: 512, to: 4096 });
    expect(fit.residual).toBeLessThan(1e-9);
    expect(fit.heldOut).toBeLessThan(1e-6);
  });

  it("never goes below nothing", () => {
    // Faster per token as rows get longer: the quadratic part would be negative.
    const fit = fitByLength(
      points([512, 1024, 2048], (n, rows) => (rows * n) / (1 + n / 1024)),
      "time",
    )!;
    expect(fit.at(1e6, 1)).toBeGreaterThan(0);
    expect(fit.residual).toBeGreaterThan(0.2);
    expect(fit.heldOut).toBeGreaterThan(0.2);
  });

  it("tells memory of rows from that of the process, where it can", () => {
    const fit = fitByLength(
      points([1024, 4096, 8192, 16384], (n, rows) => 2e8 + rows * (4e4 * n + 8 * n * n)),
      "memory",
    )!;
    expect(fit.at(32768, 1) / (2e8 + 4e4 * 32768 + 8 * 32768 ** 2)).toBeCloseTo(1, 6);
  });

  it("promises less where it cannot", () => {
    const fit = fitByLength(
      points([512, 1024, 4096], (n, rows) => 5e8 + rows * 8 * n * n),
      "memory",
    )!;
    expect(fit.at(2048, 2) / (5e8 + 2 * 8 * 2048 ** 2)).toBeCloseTo(1, 6);
    // Twice the tokens: the 5e8 may all be activations.
    expect(fit.at(8192, 1) / (1e9 + 8 * 8192 ** 2)).toBeCloseTo(1, 6);
  });

  it("says nothing of its error where it goes through all points", () => {
    const fit = fitByLength(
      points([512, 1024], (n, rows) => rows * (n + n * n)),
      "time",
    )!;
    expect(fit).not.toHaveProperty("residual");
    expect(fit).not.toHaveProperty("heldOut");
    expect(fit.at(2048, 2) / (2 * (2048 + 2048 ** 2))).toBeCloseTo(1, 9);
  });

  it("needs two lengths", () => {
    expect(
      fitByLength(
        points([512], () => 1),
        "time",
      ),
    ).toBeUndefined();
    expect(
      fitByLength(
        points([512, 512], () => 1),
        "memory",
      ),
    ).toBeUndefined();
    expect(fitByLength([], "time")).toBeUndefined();
  });
});
