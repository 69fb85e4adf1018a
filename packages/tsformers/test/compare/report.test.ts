import { describe, expect, it } from "vitest";
import { renderReport } from "../../src/compare/report.ts";
import { type CompareRun, type Comparison, type RunResult, spread, summarise } from "../../src/compare/results.ts";
import { comparisonTables, renderTable } from "../../src/compare/table.ts";
import { parseRunConfig } from "../../src/run/config.ts";

const result = (loss: number): RunResult => ({
  parameters: 12_345,
  metrics: { loss, bitsPerCharacter: loss / Math.LN2 },
  byLength: [
    { length: 64, loss },
    { length: 128, missing: "text: a window of length 128 needs 129 tokens" },
  ],
  trainCurve: [
    { step: 1, loss: 4 },
    { step: 10, loss },
  ],
  validCurve: [
    { step: 5, loss: loss + 1 },
    { step: 10, loss },
  ],
  trainTokensPerSecond: 12_345,
  evalTokensPerSecond: 98_765,
  peakBytes: 123e6,
  seconds: 4,
  steps: [
    { length: 64, rows: 2, tokensPerSecond: 20_000, peakBytes: 123e6 },
    { length: 128, rows: 1, tokensPerSecond: loss < 1.5 ? 10_000 : 20_000, peakBytes: 123e6 },
  ],
});

const run = (variant: string, seed: number, outcome: CompareRun["outcome"]): CompareRun => ({
  id: `gpt-${variant}-seed${seed}`,
  variant,
  seed,
  directory: `runs/${variant}`,
  config: parseRunConfig({}, "test"),
  outcome,
});

const comparison: Comparison = {
  format: "tsformers-comparison",
  version: 1,
  title: "gpt on <text> & more",
  command: "tsformers compare --data 'a b.txt'",
  finishedAt: "2026-01-01T00:00:00.000Z",
  environment: {
    cpu: "A processor",
    cores: 2,
    memoryBytes: 8e9,
    platform: "linux x64",
    node: "20.19.0",
    tsformers: "0.1.0",
    onnxruntime: "1.30.0",
  },
  metrics: [
    { name: "loss", label: "loss (nats per token)", better: "lower" },
    { name: "bitsPerCharacter", label: "bits per character", better: "lower" },
  ],
  trainLength: 64,
  lengths: [64, 128],
  runs: [
    run("alibi", 0, { result: result(1), reused: false }),
    run("rotary", 0, { result: result(1.5), reused: true }),
    run("alibi", 1, { result: result(2), reused: false }),
    run("rotary", 1, { failure: "killed <b>from outside</b>" }),
  ],
};

describe("summarise", () => {
  it("takes mean and sample deviation over the seeds that finished", () => {
    const [alibi, rotary] = summarise(comparison);
    expect(alibi!.metrics.loss).toEqual({ mean: 1.5, deviation: Math.SQRT1_2 });
    expect(rotary).toMatchObject({ seeds: 1, failures: ["seed 1: killed <b>from outside</b>"] });
    expect(rotary!.metrics.loss).toEqual({ mean: 1.5 });
  });

  it("has no deviation for one value", () => {
    expect(spread([3])).toEqual({ mean: 3 });
    expect(spread([2, 4])).toEqual({ mean: 3, deviation: Math.SQRT2 });
  });
});

describe("tables", () => {
  it("show spread and what is missing", () => {
    const { tables, notes, crossovers } = comparisonTables(comparison);
    const text = tables.map((table) => renderTable(table, 100, (x) => x)).join("\n");
    expect(text).toContain("1.500 ± 0.707");
    expect(notes).toContain("128: text: a window of length 128 needs 129 tokens");
    expect(crossovers).toEqual(["rotary is faster than alibi from length 128 on"]);
    expect(text).toContain("20.0k");
    expect(notes.at(-1)).toContain("rotary, seed 1: killed");
  });

  it.each([30, 45, 60, 80, 100])("fit into %d columns", (columns) => {
    for (const table of comparisonTables(comparison).tables) {
      const [, ...lines] = renderTable(table, columns, (x) => x).split("\n");
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });
});

describe("report", () => {
  const html = renderReport(comparison);

  it("holds every run, the command, the machine and the failure", () => {
    for (const { id } of comparison.runs) expect(html).toContain(id);
    expect(html).toContain("A processor, 2 cores");
    expect(html).toContain("ONNX Runtime 1.30.0");
    expect(html).toContain("tsformers compare --data");
    expect(html).toContain("rotary is faster than alibi from length 128 on");
    expect(html).toContain("killed &#60;b&#62;from outside&#60;/b&#62;");
  });

  it("loads nothing and runs nothing", () => {
    expect(html).not.toMatch(/<script|<link|<img|src=|@import|url\(|https?:/);
  });

  it("is well-formed: every tag is closed in order and no number is NaN", () => {
    const open: string[] = [];
    const voidTags = new Set(["meta", "!doctype", "br"]);
    for (const [, slash, name, selfClosing] of html.matchAll(
      /<(\/?)([!a-zA-Z][\w!]*)(?:"[^"]*"|'[^']*'|[^"'>])*?(\/?)>/g,
    )) {
      if (voidTags.has(name!.toLowerCase()) || selfClosing === "/") continue;
      if (slash === "/") expect(open.pop()).toBe(name);
      else open.push(name!);
    }
    expect(open).toEqual([]);
    expect(html).not.toContain("NaN");
    expect(html).not.toContain("undefined");
  });

  it("draws each variant in the same colour in every chart", () => {
    const charts = html.match(/<svg viewBox[\s\S]*?<\/svg>/g)!.filter((svg) => svg.includes("aria-label"));
    expect(charts.length).toBe(10);
    for (const svg of charts) expect(svg).toMatch(/var\(--series-0\)[\s\S]*var\(--series-1\)/);
  });
});
