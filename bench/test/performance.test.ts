import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compareRow } from "../bench.ts";
import type { BenchReport } from "../machine.ts";
import { peaksOf, withShares } from "../peak.ts";
import { performancePage } from "../performance-page.ts";
import { attentionGflop, decodeGflop, gptStepGflop, smallGpt } from "../workload.ts";

// `npm run bench -- all --peers --json` writes the one; this test with --update the other.
test("docs/performance.md is made from bench/results.json", async () => {
  const report: BenchReport = JSON.parse(readFileSync(new URL("../results.json", import.meta.url), "utf8"));
  const page = new URL("../../docs/performance.md", import.meta.url).pathname;
  await expect(performancePage(report)).toMatchFileSnapshot(page);
});

describe("shares of the peak", () => {
  const peakRow = compareRow("matrix product", "rate, fastest", "GFLOP/s", "higher", 100, 200, "p");

  test("are those of the fastest side and of ONNX Runtime", () => {
    const peaks = peaksOf([peakRow])!;
    expect(peaks).toEqual({ runtime: 100, machine: 200 });
    const step = { ...compareRow("a", "step", "ms", "lower", 1000, 500, "p"), gflop: 50 };
    const [kept, ofMachine, ofRuntime] = withShares([step], peaks);
    expect(kept).toBe(step);
    expect([ofMachine!.ours, ofMachine!.peer, ofMachine!.ratio]).toEqual([25, 50, 0.5]);
    expect([ofRuntime!.ours, ofRuntime!.unit]).toEqual([50, "%"]);
  });

  test("of a speed count what a token needs", () => {
    const decoding = { ...compareRow("a", "speed", "tokens/s", "higher", 1000, 500, "p"), gflop: 0.05 };
    const [, ofMachine, ofRuntime] = withShares([decoding], { runtime: 100, machine: 200 });
    expect([ofMachine!.ours, ofMachine!.peer, ofMachine!.ratio]).toEqual([25, 12.5, 2]);
    expect(ofRuntime!.ours).toBe(50);
  });

  test("are not told where work or peak is unknown", () => {
    expect(peaksOf([])).toBeUndefined();
    const memory = compareRow("a", "memory", "MB", "lower", 1, 2, "p");
    expect(withShares([memory], { runtime: 1, machine: 1 })).toEqual([memory]);
  });
});

describe("arithmetic of a workload", () => {
  test("of a step equals a count product by product", () => {
    const { batch, length, width, layers, vocabulary } = smallGpt;
    let flop = 0;
    const product = (rows: number, inner: number, columns: number): void => {
      // Forward, and backward the gradients of both factors.
      flop += 3 * 2 * rows * inner * columns;
    };
    for (let layer = 0; layer < layers; layer++) {
      for (let i = 0; i < 4; i++) product(batch * length, width, width);
      product(batch * length, width, 4 * width);
      product(batch * length, 4 * width, width);
      // Query t sees t + 1 keys, in two products.
      for (let row = 0; row < batch; row++) for (let t = 0; t < length; t++) product(2, width, t + 1);
    }
    product(batch * length, width, vocabulary);
    expect(gptStepGflop(smallGpt) * 1e9).toBeCloseTo(flop, -3);
  });

  test("of a decoded token equals a count product by product, on average over a generation", () => {
    const { length, width, layers, vocabulary } = smallGpt;
    let flop = 0;
    for (let t = 0; t < length; t++) {
      // Query t sees t + 1 keys, in two products.
      for (let layer = 0; layer < layers; layer++) flop += 2 * (4 * width ** 2 + 8 * width ** 2 + 2 * (t + 1) * width);
      flop += 2 * width * vocabulary;
    }
    expect(decodeGflop(smallGpt) * 1e9).toBeCloseTo(flop / length, 3);
  });

  test("of causal attention is about half of that of full attention, projections aside", () => {
    const sizes = { batch: 1, length: 4096, width: 256 };
    const projections = 3 * 4 * 2 * 4096 * 256 * 256 * 1e-9;
    const full = attentionGflop({ ...sizes, causal: false }) - projections;
    expect((attentionGflop({ ...sizes, causal: true }) - projections) / full).toBeCloseTo(0.5, 3);
    expect(full).toBeCloseTo(3 * 2 * 2 * 4096 * 4096 * 256 * 1e-9, 6);
  });
});
