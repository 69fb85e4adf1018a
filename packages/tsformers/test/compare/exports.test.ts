import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { describe, expect, it, onTestFinished } from "vitest";
import { csvOf, csvText } from "../../src/compare/exports/csv.ts";
import { escaped, markdownOf, tableText } from "../../src/compare/exports/markdown.ts";
import { parquetOf } from "../../src/compare/exports/parquet.ts";
import { type TidyRun, tidyCostColumns, tidyCosts, tidyRunColumns, tidyRuns } from "../../src/compare/exports/tidy.ts";
import { writeExports } from "../../src/compare/exports/write-exports.ts";
import { comparisonFixture } from "./exports-fixture.ts";

/** RFC 4180 read by the letter, one character after the other. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let [row, field, i] = [[] as string[], "", 0];
  while (i < text.length) {
    if (text[i] === '"' && field === "") {
      for (i++; text[i] !== '"' || text[i + 1] === '"'; i++) {
        if (text[i] === '"') i++;
        field += text[i];
      }
      i++;
    } else {
      while (i < text.length && text[i] !== "," && !text.startsWith("\r\n", i)) field += text[i++];
    }
    row.push(field);
    field = "";
    if (text[i] === ",") i++;
    else {
      expect(text.slice(i, i + 2)).toBe("\r\n");
      rows.push(row);
      row = [];
      i += 2;
    }
  }
  return rows;
}

describe("tidy tables", () => {
  const comparison = comparisonFixture();
  const runs = tidyRuns(comparison, "compare-a");

  it("have a line for each run, length and metric, one where there is no value, and one for a failed run", () => {
    const [finished, failed] = [43, 2];
    expect(runs).toHaveLength(finished * (3 * 2 + 1) + failed);
    const own = runs.filter(({ folder }) => folder === "copy-0-seed1-first");
    expect(own.map(({ length, metric, better, value }) => [length, metric, better, value])).toEqual([
      [64, "loss", "lower", 0.11],
      [64, "accuracy", "higher", 0.89],
      [128, "loss", "lower", 0.22],
      [128, "accuracy", "higher", 0.445],
      [256, "loss", "lower", expect.closeTo(0.33, 12)],
      [256, "accuracy", "higher", expect.closeTo(0.89 / 3, 12)],
      [512, null, null, null],
    ]);
    expect(own.at(-1)!.missing).toContain("the model has 256 positions");
    expect(runs.filter(({ missing }) => missing?.startsWith("failed: "))).toHaveLength(failed);
  });

  it("have the training length, where results by length leave it out", () => {
    const first = comparison.runs[0]!;
    const { result } = first.outcome as Extract<typeof first.outcome, { result: unknown }>;
    const without = { ...result, byLength: result.byLength.filter(({ length }) => length !== 64) };
    const lines = tidyRuns({ ...comparison, runs: [{ ...first, outcome: { result: without, reused: true } }] }, "x");
    expect(lines.filter(({ length }) => length === 64).map(({ value }) => value)).toEqual([0.1, 0.9]);
  });
});

describe("csv", () => {
  it("reads back as it was written, whatever is in its fields", () => {
    const field = fc.string({ unit: fc.constantFrom(",", '"', "\r", "\n", " ", "=", "ä", "a", "\t") });
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) => fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1 }));
    fc.assert(
      fc.property(table, (rows) => {
        expect(readCsv(csvText(rows))).toEqual(rows);
      }),
    );
  });

  it("has the runs and costs of a comparison, with their columns", () => {
    const runs = tidyRuns(comparisonFixture(), "compare-a");
    const [header, ...lines] = readCsv(csvOf(runs, tidyRunColumns));
    expect(header).toEqual(Object.keys(tidyRunColumns));
    expect(lines).toHaveLength(runs.length);
    const read = (name: string) => lines.map((line) => line[header!.indexOf(name)]);
    expect(read("variant")).toEqual(runs.map(({ variant }) => variant));
    expect(read("value")).toEqual(runs.map(({ value }) => (value === null ? "" : String(value))));
    expect(new Set(read("variant"))).toContain("=llama");
    const costs = tidyCosts(comparisonFixture(), "compare-a");
    expect(readCsv(csvOf(costs, tidyCostColumns))).toHaveLength(costs.length + 1);
  });
});

describe("parquet", () => {
  it("reads back as it was written", async () => {
    const runs = tidyRuns(comparisonFixture(), "compare-a");
    const bytes = await parquetOf(runs, tidyRunColumns);
    const rows = await parquetReadObjects({ file: bytes.slice().buffer });
    const numbers = rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([k, v]) => [k, typeof v === "bigint" ? Number(v) : v])),
    );
    const columns = Object.keys(tidyRunColumns);
    const written = runs.map((run) => Object.fromEntries(columns.map((k) => [k, run[k as keyof TidyRun]])));
    expect(numbers).toEqual(written);
  });

  it("can hold JSON, columns of nothing but null, infinities and no rows at all", async () => {
    const columns = { name: "text", data: "json", none: "real", value: "real" } as const;
    const records = [
      { name: "a", data: { x: [1, "ü"] }, none: null, value: Number.POSITIVE_INFINITY },
      { name: "b", data: null, none: null, value: -0.1 },
    ];
    const read = async (all: typeof records) =>
      parquetReadObjects({ file: (await parquetOf(all, columns)).slice().buffer });
    expect(await read(records)).toEqual(records);
    expect(await read([])).toEqual([]);
  });
});

describe("markdown", () => {
  it("has a table whose source is aligned, numbers to the right", () => {
    const table = {
      title: "t",
      header: ["variant", "loss"],
      rows: [
        ["gpt", "1.5"],
        ["a longer one", "-0.25 ± 0.01"],
      ],
    };
    expect(tableText(table).split("\n")).toEqual([
      "| variant      |         loss |",
      "| ------------ | -----------: |",
      "| gpt          |          1.5 |",
      "| a longer one | -0.25 ± 0.01 |",
    ]);
  });

  it("lets no text end a cell, be markup or HTML, or leave its line", () => {
    expect(escaped("a|b")).toBe("a\\|b");
    expect(escaped("local*2,routing*2")).toBe("local\\*2,routing\\*2");
    expect(escaped("learning_rate _x_")).toBe("learning_rate \\_x\\_");
    expect(escaped("<b>&amp;</b>\nnext")).toBe("&lt;b>&amp;amp;&lt;/b><br>next");
    expect(escaped("`[x](y)` \\ ~~z~~ $1$")).toBe("\\`\\[x\\](y)\\` \\\\ \\~\\~z\\~\\~ \\$1\\$");
  });

  it("has as many cells in a line as columns, whatever the texts", () => {
    const cells = fc.array(fc.string(), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(cells), (rows) => {
        const lines = tableText({ title: "", header: ["a", "b", "c"], rows }).split("\n");
        expect(lines).toHaveLength(rows.length + 2);
        // A bar counts unless an odd number of backslashes stands before it.
        for (const line of lines) expect(line.replace(/\\./gs, "").split("|")).toHaveLength(5);
      }),
    );
  });

  it("says what was compared, where, and what follows", () => {
    const comparison = { ...comparisonFixture(), title: "A *title*", command: "tsformers compare --x '```'" };
    const text = markdownOf(comparison, [{ title: "Ranked", header: ["v"], rows: [["x"]] }], ["1. it is <so>", "- a"]);
    expect(text).toContain("# A \\*title\\*\n");
    expect(text).toContain("````sh\ntsformers compare --x '```'\n````");
    expect(text).toContain("- Budget of each run: 50 steps; 3 seeds\n");
    expect(text).toContain(
      '- Machine: A "fast" processor, 3 GHz, 2 cores, 8.0 GB; tsformers 0.1.0, ONNX Runtime 1.30.0',
    );
    expect(text).toContain("## Ranked\n\n| v   |\n| --- |\n| x   |\n");
    expect(text).toContain("- 1\\. it is &lt;so>\n- \\- a\n");
  });
});

it("writes all files of a comparison, and nothing else", async () => {
  const home = mkdtempSync(join(tmpdir(), "tsformers-exports-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const folder = join(home, "compare-a");
  const comparison = comparisonFixture();
  const paths = await writeExports(folder, comparison, [], []);
  await writeExports(folder, comparison, [], []);
  expect(readdirSync(folder).toSorted()).toEqual(["costs.csv", "results.json", "runs.csv", "runs.parquet", "table.md"]);
  expect(JSON.parse(readFileSync(paths.results, "utf8"))).toEqual(JSON.parse(JSON.stringify(comparison)));
  expect(readCsv(readFileSync(paths.runs, "utf8"))[1]![0]).toBe("compare-a");
});
