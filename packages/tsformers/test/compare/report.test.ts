import { describe, expect, it } from "vitest";
import { frontOf } from "../../src/compare/report/client/pareto.ts";
import { firstHidden, slotsOf } from "../../src/compare/report/client/store.ts";
import { makeData } from "../../src/compare/report/make-data.ts";
import { renderReport } from "../../src/compare/report/render-report.ts";
import type { ReportData } from "../../src/compare/report/report-data.ts";
import type { Comparison } from "../../src/compare/results.ts";
import { paretoOf } from "../../src/compare/statistics/pareto.ts";
import { adviceOf } from "../../src/compare/text/advice.ts";
import { differenceText } from "../../src/compare/text/figure-text.ts";
import { comparisonTables } from "../../src/compare/text/table.ts";
import { listops, madeComparison, richComparison } from "./measured-fixture.ts";
import { comparisonFixture } from "./report-fixture.ts";

/** What a page that is read literally would do: end the script, begin a comment, run code. */
const hostile = [
  "</script><script>alert(1)</script>",
  "<!--<script>",
  '"><img src=x onerror=alert(1)>',
  "a\u2028b\u2029c",
  "$& $1 $`",
];

/** Elements of the page outside of its script, and what its data say. */
function parts(html: string): { markup: string; data: ReportData; program: string } {
  const [, json = ""] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html) ?? [];
  const [, program = ""] = /<script>(.*?)<\/script>/s.exec(html) ?? [];
  const markup = html.replace(json, "").replace(program, "");
  return { markup, data: JSON.parse(json), program };
}

it("draws the fastest at the longest length where nothing was trained", () => {
  const costs = Array.from({ length: 14 }, (_, i): readonly [number, number] => [1000 * ((5 * i) % 14) + 1000, 4e8]);
  const comparison = madeComparison(
    [listops],
    costs.map((cost, i) => ({ label: `m${i}`, steps: { 512: [9e3 - i, 4e8], 1024: cost } })),
  );
  const [task] = makeData(comparison).tasks;
  const names = task!.variants.map(({ variant }) => variant);
  const fastest = names.map((variant) => costs[Number(variant.slice(1))]![0]);
  expect(fastest).toEqual([...fastest].sort((a, b) => b - a));
  // The terminal has the same order.
  for (const { rows } of comparisonTables(comparison).tables) expect(rows.map(([name]) => name)).toEqual(names);
  expect(firstHidden(task).size).toBe(6);
  // They have colours of their own.
  const slots = slotsOf(makeData(comparison));
  expect(names.map((variant) => slots.get(variant))).toEqual(names.map((_, i) => i));
  expect(firstHidden(task).has(names[7]!)).toBe(false);
  expect(firstHidden(task).has(names[8]!)).toBe(true);
});

it("has the Pareto front of the advice", () => {
  const comparison = richComparison();
  for (const { about, variants, beatenBy } of makeData(comparison).tasks)
    for (const kind of ["time", "memory", "parameters", "flops", "state"] as const) {
      const points = paretoOf(comparison, about.label, { kind });
      const shown = points.map(({ variant }) => variant);
      const front = points.flatMap(({ variant, onFront }) => (onFront ? variant : []));
      expect(frontOf({ variants, beatenBy }, kind, shown)).toEqual(front);
      expect(points.length).toBeGreaterThan(2);
    }
});

it("tells tasks of one title apart by what differs among them", () => {
  const { tasks, ...rest } = comparisonFixture({ variants: 1 });
  const titlesOf = (labels: readonly string[]) => {
    const named = labels.map((label) => ({ ...tasks[1]!, label, title: "Text" }));
    return makeData({ ...rest, tasks: named }).tasks.map(({ about }) => about.title);
  };
  expect(titlesOf(["text"])).toEqual(["Text"]);
  expect(titlesOf(["text · data=a.txt", "text · data=b.txt"])).toEqual(["Text · data=a.txt", "Text · data=b.txt"]);
  expect(titlesOf(["first", "second"])).toEqual(["Text (first)", "Text (second)"]);
});

describe("a report", () => {
  const comparison = comparisonFixture();
  const html = renderReport(comparison);
  const { markup, data, program } = parts(html);

  it("loads nothing: no address, no style sheet, no module", () => {
    expect(markup).not.toMatch(/https?:|<img|@import|url\(|src=/);
    expect(markup.match(/href="[^"]*"/g)).toEqual(['href="data:,"']);
    expect(program).not.toMatch(/\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(|sendBeacon/);
  });

  it("has one element of data, one program, and the notice of ECharts", () => {
    expect(html.match(/<script/gi)?.length).toBe(2 + (program.match(/<script/gi)?.length ?? 0));
    expect(html.match(/<\/script/gi)).toHaveLength(2);
    expect(program).toContain("The Apache Software Foundation");
    expect(program).toContain("Copyright (c) 2017, Baidu Inc.");
  });

  it("holds tasks, variants, sentences, the command and every failure", () => {
    expect(data.tasks.map(({ about }) => about.label)).toEqual(["recall", "text · tiny-stories"]);
    expect(data.variants).toEqual(comparison.variants);
    expect(data.sentences).toEqual(adviceOf(comparison));
    expect(data.command).toBe(comparison.command);
    expect(data.tasks[1]!.runs.filter((run) => "failure" in run)).toHaveLength(2);
    expect(data.tasks[0]!.notes).toContain("softmax · alibi, at a step at 1024: out of memory");
    expect(JSON.parse(data.settings)).toEqual(comparison.settings);
  });

  it("says how well accuracies are known", () => {
    const comparison = madeComparison([listops], [{ label: "a", scores: { listops: [0.5, 0.52] }, rows: 512 }]);
    expect(makeData(comparison).tasks[0]!.notes[0]).toMatch(
      /^512 test rows are scored: accuracies near 0\.5 are known/,
    );
  });

  it("says the result to readers without scripts", () => {
    expect(markup).toMatch(
      /<noscript>.*softmax · rotary reaches 0\.930 token accuracy; softmax · alibi cannot be told from it\./s,
    );
  });

  it("shares ranks where seeds cannot tell variants apart, and tells nothing from one seed", () => {
    const ranks = ({ tasks }: ReportData) => tasks[0]!.variants.map(({ result }) => result?.rank);
    expect(ranks(data).slice(0, 3)).toEqual([
      { from: 1, to: 2 },
      { from: 1, to: 2 },
      { from: 3, to: 3 },
    ]);
    const single = parts(renderReport(comparisonFixture({ seeds: 1, variants: 4 }))).data;
    expect(ranks(single)).toEqual(Array(4).fill({ from: 1, to: 4 }));
    expect(single.tasks[0]!.seeds).toBe(1);
    expect(single.tasks[0]!.variants.map(({ result }) => result?.place)).toEqual([1, 2, 3, 4]);
  });

  it("ranks pre-trained runs by themselves", () => {
    const ranks = data.tasks[0]!.variants.map(({ pretrained }) => pretrained?.rank?.from);
    expect(ranks).toEqual([1, 1, undefined, undefined, 3, 4, 5, undefined]);
  });

  it("has the change by pre-training with its interval, as the terminal", () => {
    const { rows } = comparisonTables(comparison).tables.find(({ header }) => header.includes("pre-trained"))!;
    const changes = data.tasks[0]!.variants.flatMap(({ variant, change }) =>
      change === undefined ? [] : [[variant, differenceText(change)]],
    );
    expect(changes).toHaveLength(5);
    expect(changes[0]![1]).toMatch(/^[+−][\d.]+ ± [\d.]+/);
    expect(new Map(rows.map((row) => [row[0], row.at(-1)]))).toEqual(new Map(changes as [string, string][]));
  });

  it("draws the curves of plain and of pre-trained runs by themselves", () => {
    for (const pretrained of [false, true]) {
      const lasts = comparison.runs.flatMap(({ task, variant, outcome, ...run }) =>
        task === "recall" && variant === "retention" && run.pretrained === pretrained && "result" in outcome
          ? [outcome.result.validCurve.at(-1)!.loss]
          : [],
      );
      const shown = data.tasks[0]!.variants[4]![pretrained ? "pretrained" : "result"]!.validCurve;
      expect(lasts).toHaveLength(3);
      expect(shown.mean.at(-1)).toBeCloseTo(lasts.reduce((sum, loss) => sum + loss, 0) / 3, 3);
      expect(shown.low!.at(-1)).toBeCloseTo(Math.min(...lasts), 3);
      expect(shown.high!.at(-1)).toBeCloseTo(Math.max(...lasts), 3);
    }
  });

  it("is small: 34 variants on two tasks in less than 1.5 MB, eight in less than 750 kB", () => {
    expect(Buffer.byteLength(html)).toBeLessThan(750_000);
    expect(Buffer.byteLength(renderReport(comparisonFixture({ variants: 34 })))).toBeLessThan(1_500_000);
  });

  it.each(hostile)("writes %j so that it stays text", (text) => {
    const labels = comparison.variants.map((variant, i) => (i === 2 ? text : variant));
    const page = parts(renderReport(comparisonFixture({ title: text, labels })));
    expect(page.data.title).toBe(text);
    expect(page.data.variants[2]).toBe(text);
    expect(page.markup).not.toMatch(/<img|alert\(1\)<|<!--/);
  });

  it("survives what is not a number, and a comparison without results", () => {
    const [run] = comparison.runs;
    const { result } = run!.outcome as Extract<typeof run & object, unknown>["outcome"] & {
      result: { metrics: object };
    };
    const nothing = { loss: Number.NaN, tokenAccuracy: Number.NaN };
    const diverged = {
      ...run!,
      outcome: { result: { ...result, metrics: nothing }, reused: false },
    } as Comparison["runs"][number];
    const odd = parts(renderReport({ ...comparison, runs: [diverged] })).data;
    expect(odd.tasks[0]!.variants[0]!.result!.rank).toBeUndefined();
    expect(() => renderReport({ ...comparison, runs: [], costs: [], cells: [], trials: [], tasks: [] })).not.toThrow();
  });
});
