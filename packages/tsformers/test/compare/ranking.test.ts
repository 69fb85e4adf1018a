import { describe, expect, it } from "vitest";
import { fullAttentionOf, isFullAttention } from "../../src/compare/statistics/full-attention.ts";
import { paretoOf } from "../../src/compare/statistics/pareto.ts";
import { overallOf, rankedVariants, rankingOf, survivalOf } from "../../src/compare/statistics/ranking.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { listops, type Made, madeComparison, recall, richComparison, text } from "./measured-fixture.ts";

const onText = (variants: Record<string, number[]>, more: Record<string, Partial<Made>> = {}) =>
  madeComparison(
    [text],
    Object.entries(variants).map(([label, scores]) => ({ label, scores: { text: scores }, ...more[label] })),
  );
const ranks = (comparison: ReturnType<typeof onText>) =>
  rankedVariants(rankingOf(comparison, "text")).map(({ variant, rank }) => [variant, rank.from, rank.to]);

describe("full attention", () => {
  it("is softmax over everything, with any positions", () => {
    expect(isFullAttention({ kind: "gpt" })).toBe(true);
    expect(isFullAttention({ kind: "llama" })).toBe(true);
    expect(isFullAttention({ kind: "gpt", mixer: { kind: "softmax" }, position: { kind: "alibi" } })).toBe(true);
    expect(isFullAttention({ kind: "gpt", mixer: { kind: "linear" } })).toBe(false);
    expect(isFullAttention({ kind: "gpt", pattern: { kind: "window", before: 8 } })).toBe(false);
    expect(isFullAttention({ kind: "gpt", mixer: [{ kind: "softmax" }, { kind: "linear" }] })).toBe(false);
    expect(isFullAttention({ kind: "gpt", depth: { kind: "reversible" } })).toBe(false);
    expect(isFullAttention({ kind: "reformer" })).toBe(false);
    expect(isFullAttention({ kind: "checkpoint" })).toBe(false);
  });

  it("is found by what differs where nothing was trained", () => {
    const made = (label: string, settings: Record<string, string>): Made => ({
      label,
      settings,
      steps: { 512: [1, 1] },
    });
    const comparison = madeComparison(
      [text],
      [
        made("a", { mixer: "linear" }),
        made("b", {}),
        made("c", { pattern: "window" }),
        made("d", { model: "llama" }),
        made("e", { model: "reformer" }),
      ],
    );
    expect(fullAttentionOf(comparison)).toEqual(["b", "d"]);
    const config = parseRunConfig({ model: { kind: "gpt", mixer: { kind: "linear" } } }, "test");
    const cells = comparison.cells.map((cell) => (cell.variant === "b" ? { ...cell, config } : cell));
    expect(fullAttentionOf({ ...comparison, cells })).toEqual(["d"]);
  });
});

describe("a ranking", () => {
  it("gives those that cannot be told from the best its ranks", () => {
    // b is 0.03 above a under each seed to within 0.05; c and d are far.
    const comparison = onText({
      d: [3.6, 3.61, 3.62],
      a: [2.3, 2.32, 2.34],
      c: [2.9, 2.92, 2.95],
      b: [2.31, 2.4, 2.34],
    });
    expect(ranks(comparison)).toEqual([
      ["a", 1, 2],
      ["b", 1, 2],
      ["c", 3, 3],
      ["d", 4, 4],
    ]);
    expect(rankingOf(comparison, "text").winner).toBeUndefined();
    const clear = onText({ a: [2.3, 2.32, 2.34], b: [2.9, 2.92, 2.95] });
    expect(rankingOf(clear, "text").winner).toBe("a");
  });

  it("corrects for how many were looked at", () => {
    // Alone b is told from a: t = 0.05 / (0.015 / √3) with p = 0.029. Among six that is not enough.
    const pair = { a: [2, 2, 2], b: [2.035, 2.05, 2.065] };
    expect(ranks(onText(pair)).at(-1)).toEqual(["b", 2, 2]);
    const many = Object.fromEntries(["c", "d", "e", "f"].map((name) => [name, [2.1, 2.5, 2.3]]));
    const ranking = rankingOf(onText({ ...pair, ...many }), "text");
    expect(rankedVariants(ranking)[1]).toMatchObject({ variant: "b", toBest: { verdict: "worse" }, rank: { from: 1 } });
    expect(ranking.winner).toBeUndefined();
  });

  it("tells nothing with one seed", () => {
    const comparison = onText({ a: [2.3], b: [3.9] });
    expect(ranks(comparison)).toEqual([
      ["a", 1, 2],
      ["b", 1, 2],
    ]);
    expect(rankingOf(comparison, "text")).toMatchObject({ seeds: 1 });
  });

  it("compares with the best full attention", () => {
    const full = { kind: "gpt", position: { kind: "alibi" } };
    const comparison = onText(
      { worse: [2.5, 2.52, 2.51], linear: [2.6, 2.6, 2.62], best: [2.4, 2.41, 2.42] },
      { linear: { model: { kind: "gpt", mixer: { kind: "linear" } } }, best: { model: full } },
    );
    const ranking = rankingOf(comparison, "text");
    expect(ranking.reference).toBe("best");
    const [best, worse, linear] = rankedVariants(ranking);
    expect(best!.toReference).toBeUndefined();
    expect(worse!.toReference).toMatchObject({ verdict: "worse", paired: true });
    // scipy.stats.ttest_rel([2.6, 2.6, 2.62], [2.4, 2.41, 2.42])
    expect(linear!.toReference!.difference).toBeCloseTo(0.19666666666, 9);
    expect(linear!.toReference!.low).toBeCloseTo(0.182324490901, 8);
    expect(linear!.toReference!.high).toBeCloseTo(0.211008842432, 8);
  });

  it("places baselines, and says who learned nothing", () => {
    const comparison = madeComparison(
      [listops],
      [
        { label: "a", scores: { listops: [0.4, 0.42, 0.41] } },
        { label: "b", scores: { listops: [0.171, 0.169, 0.175] } },
        { label: "c", scores: { listops: [0.1, 0.12, 0.11] } },
      ],
    );
    const { rows } = rankingOf(comparison, "listops");
    const names = rows.map((row) => (row.kind === "variant" ? `${row.variant} ${row.learned}` : row.baseline.name));
    expect(names).toEqual(["a true", "b false", "most frequent class", "c false"]);
    const one = madeComparison([listops], [{ label: "a", scores: { listops: [0.18] } }]);
    expect(rankedVariants(rankingOf(one, "listops"))[0]!.learned).toBe(false);
  });

  it("counts in that the test split is finite", () => {
    // Seeds agree to 0.001, and are 0.026 and 0.06 above the most frequent class (0.17); 500 rows give ± 0.047 of that.
    const scores = (score: number) => ({ listops: [score, score + 0.001, score - 0.001] });
    const on = (rows?: number) =>
      rankingOf(
        madeComparison(
          [listops],
          [
            { label: "a", scores: scores(0.23), ...(rows !== undefined && { rows }) },
            { label: "b", scores: scores(0.196), ...(rows !== undefined && { rows }) },
            { label: "c", scores: scores(0.192), ...(rows !== undefined && { rows }) },
          ],
        ),
        "listops",
      );
    const learned = (rows?: number) => rankedVariants(on(rows)).map((row) => row.learned);
    expect(learned(500)).toEqual([true, false, false]);
    expect(learned(20_000)).toEqual([true, true, true]);
    expect(learned()).toEqual([true, true, true]);
    const [, , c] = rankedVariants(on(500));
    expect(c!.toReference).toMatchObject({ verdict: "worse" });
    // The same on losses, which have no such error.
    expect(
      rankedVariants(rankingOf(madeComparison([text], [{ label: "a", scores: { text: [4.39] }, rows: 4 }]), "text"))[0]!
        .learned,
    ).toBe(false);
  });

  it("leaves out what has no figure, and says why", () => {
    const comparison = richComparison();
    expect(rankingOf(comparison, "text").unranked).toEqual([
      { variant: "performer", reason: "seed 0: the process ran out of memory" },
    ]);
    const diverged = rankingOf(onText({ a: [2, 2.1], b: [Number.NaN, 2] }), "text");
    expect(diverged.unranked).toEqual([{ variant: "b", reason: "bits per character is not a number under seed 0" }]);
    expect(rankingOf(madeComparison([text], [{ label: "a" }]), "text")).toMatchObject({
      rows: [{ kind: "baseline" }],
      seeds: 0,
    });
    expect(() => rankingOf(comparison, "txt")).toThrow(
      'the comparison has no task "txt"; it has text, recall · pairs=16',
    );
  });
});

describe("several tasks", () => {
  it("are summed up in means and tasks won", () => {
    const comparison = madeComparison(
      [listops, { ...listops, label: "other" }],
      [
        { label: "a", scores: { listops: [0.8, 0.81, 0.82], other: [0.5, 0.6, 0.4] } },
        { label: "b", scores: { listops: [0.4, 0.41, 0.42], other: [0.52, 0.6, 0.45] } },
        { label: "c", scores: { listops: [0.3, 0.31, 0.33] } },
      ],
    );
    const rows = overallOf(comparison);
    expect(rows.map(({ variant, won, tied, tasks }) => [variant, won, tied, tasks])).toEqual([
      ["a", 1, 1, 2],
      ["b", 0, 1, 2],
      ["c", 0, 0, 1],
    ]);
    expect(rows[0]!.meanFigure).toBeCloseTo((0.81 + 0.5) / 2, 12);
    expect(rows[0]!.meanPlace).toBe(1.5);
    expect(rows[2]).not.toHaveProperty("meanFigure");
    expect(rows[2]).not.toHaveProperty("meanPlace");
  });

  it("with different metrics have no mean", () => {
    const rows = overallOf(richComparison());
    expect(rows.some((row) => "meanFigure" in row)).toBe(false);
    expect(rows.at(-1)).toMatchObject({ variant: "performer", tasks: 1 });
  });
});

describe("the Pareto front", () => {
  const steps = (speed: number, bytes: number) => ({ steps: { 512: [speed, bytes] as const } });
  const comparison = onText(
    { good: [2, 2.01, 2.02], cheap: [2.5, 2.5, 2.51], poor: [3, 3.02, 3.01], equal: [2.51, 2.49, 2.52] },
    { good: steps(100, 900), cheap: steps(400, 300), poor: steps(200, 200), equal: steps(395, 300) },
  );

  it("has what nothing else beats in both", () => {
    const front = paretoOf(comparison, "text", { kind: "time" });
    expect(front.map(({ variant, onFront }) => [variant, onFront])).toEqual([
      ["cheap", true],
      ["equal", true],
      ["poor", false],
      ["good", true],
    ]);
    expect(front[2]!.beatenBy).toEqual(["cheap", "equal"]);
  });

  it("depends on the cost", () => {
    const onFront = (points: ReturnType<typeof paretoOf>) =>
      points.filter((point) => point.onFront).map(({ variant }) => variant);
    expect(onFront(paretoOf(comparison, "text", { kind: "memory" }))).toEqual(["poor", "cheap", "equal", "good"]);
    expect(paretoOf(comparison, "text", { kind: "step memory", length: 512 })[0]).toMatchObject({
      variant: "poor",
      cost: 200,
    });
    expect(paretoOf(comparison, "text", { kind: "step time", length: 512 })[0]).toMatchObject({
      variant: "cheap",
      cost: 1 / 400,
    });
    expect(paretoOf(comparison, "text", { kind: "step time", length: 4096 })).toEqual([]);
  });

  it("has no noise in what is counted", () => {
    const score = { text: [2] };
    const counted = madeComparison(
      [text],
      [
        { label: "a", scores: score, parameters: 1000, stateBytes: 64 },
        { label: "b", scores: score, parameters: 1001, stateBytes: 63 },
        { label: "c", scores: score, parameters: 1000, steps: { 512: [9600, 4e8] } },
      ],
    );
    const front = (kind: "parameters" | "flops" | "state" | "time") =>
      paretoOf(counted, "text", { kind }).flatMap(({ variant, onFront }) => (onFront ? variant : []));
    expect(front("parameters")).toEqual(["a", "c"]);
    expect(front("flops")).toEqual(["a", "c"]);
    expect(front("state")).toEqual(["b"]);
    // 4 % slower is no difference.
    expect(front("time")).toEqual(["a", "b", "c"]);
  });
});

describe("pre-training", () => {
  it("keeps a ranking or not", () => {
    const found = survivalOf(richComparison(), "text")!;
    // softmax and window=64 swap; of three pairs two stay: τ = (2 − 1) / 3.
    expect(found.tau).toBeCloseTo(1 / 3, 12);
    expect(found.variants).toEqual(["softmax", "window=64", "linear"]);
    expect(found.swapped).toEqual([{ before: "softmax", after: "window=64", isTold: false }]);
    expect(survivalOf(richComparison(), recall.label)).toBeUndefined();
  });

  it("has Kendall's τ of scipy, ties too", () => {
    const before = [0.9, 0.8, 0.7, 0.7, 0.5, 0.4];
    const after = [0.85, 0.9, 0.7, 0.75, 0.4, 0.4];
    const comparison = madeComparison(
      [listops],
      before.map((score, i) => ({
        label: `v${i}`,
        scores: { listops: [score] },
        pretrained: { listops: [after[i]!] },
      })),
    );
    // scipy.stats.kendalltau(before, after)
    expect(survivalOf(comparison, "listops")!.tau).toBeCloseTo(0.7857142857142858, 12);
    const same = madeComparison(
      [listops],
      ["a", "b"].map((label) => ({ label, scores: { listops: [0.5] }, pretrained: { listops: [0.6] } })),
    );
    expect(survivalOf(same, "listops")).toEqual({ variants: ["a", "b"], swapped: [] });
  });

  it("says which swaps are beyond chance", () => {
    const comparison = madeComparison(
      [listops],
      [
        { label: "a", scores: { listops: [0.5, 0.51, 0.52] }, pretrained: { listops: [0.6, 0.61, 0.62] } },
        { label: "b", scores: { listops: [0.4, 0.41, 0.42] }, pretrained: { listops: [0.8, 0.81, 0.82] } },
      ],
    );
    expect(survivalOf(comparison, "listops")).toMatchObject({
      tau: -1,
      swapped: [{ before: "a", after: "b", isTold: true }],
    });
  });
});
