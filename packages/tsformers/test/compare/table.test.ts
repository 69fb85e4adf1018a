import { describe, expect, it } from "vitest";
import { markdownOf } from "../../src/compare/exports/markdown.ts";
import type { Comparison } from "../../src/compare/results.ts";
import { comparisonTables, renderTable, type TextTable } from "../../src/compare/text/table.ts";
import { listops, type Made, madeComparison, recall, richComparison, text } from "./measured-fixture.ts";

const rich = richComparison();
const titled = (tables: readonly TextTable[], title: string): TextTable => {
  const found = tables.find((table) => table.title.startsWith(title));
  if (found === undefined) throw new Error(`no table ${title} among ${tables.map((table) => table.title).join("; ")}`);
  return found;
};
const rowOf = (table: TextTable, name: string) => table.rows.find((row) => row[0]!.startsWith(name))!;

describe("tables of a comparison", () => {
  const { tables, crossovers, notes } = comparisonTables(rich);

  it("have as many cells in every row as in the header", () => {
    for (const { header, rows } of tables) for (const row of rows) expect(row).toHaveLength(header.length);
  });

  it("rank with intervals, against the reference, with baselines among the variants", () => {
    const table = titled(tables, "text: bits per character at length 512 (test split), 1,000 steps each, 3 seeds");
    expect(table.header).toEqual(["variant", "rank", "bits/char", "loss", "vs reference"]);
    expect(table.rows.map(([name, rank]) => [name!.slice(0, 11), rank])).toEqual([
      ["softmax", "1–3"],
      ["window=64", "4"],
      ["delta-net †", "1–3"],
      ["gpt · lsh ·", "1–3"],
      ["linear", "5"],
      ["unigram (ba", "–"],
      ["performer", "failed"],
    ]);
    // Half of scipy's t interval of [2.31, 2.33, 2.32], and of the differences from it.
    expect(rowOf(table, "softmax")).toEqual(["softmax", "1–3", "2.320 ± 0.025", "1.608", "reference"]);
    expect(rowOf(table, "linear").at(-1)).toBe("+0.293 ± 0.052 *");
    expect(rowOf(table, "delta-net").at(-1)).toBe("+0.013 ± 0.052");
    expect(rowOf(table, "unigram")).toEqual(["unigram (baseline)", "–", "4.400", "3.050", "–"]);
  });

  it("begin with all tasks together", () => {
    expect(tables[0]!.title).toBe(
      "All tasks: bits/char on text; token accuracy on recall · pairs=16 (test split), in brackets the rank",
    );
    expect(tables[0]!.header.slice(1)).toEqual(["text", "recall · pairs=16", "mean place", "won", "tied"]);
    expect(rowOf(tables[0]!, "softmax")).toEqual(["softmax", "2.320 (1–3)", "0.988 (1–3)", "1", "0", "2"]);
    expect(rowOf(tables[0]!, "performer")).toEqual(["performer", "failed", "0.107 (6)", "–", "0", "0"]);
  });

  it("show costs, sizes and marks of unequal cells", () => {
    const table = titled(tables, "text: cost at length 512");
    expect(table.header).toEqual(["variant", "train tok/s", "eval tok/s", "memory", "params", "state", "FLOPs/token"]);
    expect(rowOf(table, "delta-net")).toEqual(["delta-net †", "9.1k", "27.0k", "500 MB", "1.1M", "70 kB", "6.3M"]);
    expect(notes).toContain("† delta-net: 1.31 × the parameters of most");
  });

  it("show figures by length in the ranking metric and the loss", () => {
    const table = titled(tables, "text: bits per character by length, trained at 512");
    expect(table.header).toEqual(["variant", "1× (512)", "2× (1,024)", "4× (2,048)", "8× (4,096)"]);
    expect(rowOf(table, "window").slice(3)).toEqual(["2.330 ± 0.006", "2.340 ± 0.006"]);
    expect(rowOf(table, "performer").slice(1)).toEqual(["failed", "failed", "failed", "failed"]);
    // Of several tasks only the ranking metric.
    const losses = (list: readonly TextTable[]) =>
      list.filter(({ title }) => title.includes("loss (nats per token) by"));
    expect(losses(tables)).toEqual([]);
    expect(losses(comparisonTables({ ...rich, tasks: [text] }).tables)).toHaveLength(1);
    // No variant has positions beyond 512 on recall.
    expect(tables.some(({ title }) => title.startsWith("recall · pairs=16: token accuracy by length"))).toBe(false);
    const onlyLoss = { ...text, metrics: text.metrics.slice(0, 1), ranking: "loss" };
    const plain = comparisonTables(madeComparison([onlyLoss], [{ label: "a", scores: { text: [2] } }]));
    expect(plain.tables.filter(({ title }) => title.includes("by length, trained"))).toHaveLength(0);
  });

  it("show steps, also as multiples of full attention", () => {
    const speed = titled(
      tables,
      "text: tokens per second of a step forward and backward, and as a multiple of softmax",
    );
    expect(rowOf(speed, "window").slice(1)).toEqual(["22.0k (1.1×)", "23.0k (1.4×)", "23.0k (2.1×)", "23.4k (3.9×)"]);
    expect(rowOf(speed, "delta-net").at(-1)).toBe("–");
    expect(tables.some(({ title }) => title.startsWith("recall · pairs=16: tokens per second"))).toBe(false);
    expect(crossovers).toContain("From length 2,048 on, linear is faster than softmax.");
  });

  it("show what pre-training changed", () => {
    const table = titled(tables, "text: bits per character after training on the task's inputs first");
    expect(rowOf(table, "window")).toEqual([
      "window=64",
      "4 → 1–2",
      "2.287 ± 0.014",
      "2.333 ± 0.019",
      "−0.047 ± 0.031 *",
    ]);
  });

  it("show with one seed the order before and after pre-training", () => {
    const made = [
      { label: "a", scores: { listops: [0.5] }, pretrained: { listops: [0.6] } },
      { label: "b", scores: { listops: [0.4] }, pretrained: { listops: [0.7] } },
    ];
    const table = titled(comparisonTables(madeComparison([listops], made)).tables, "listops: accuracy after training");
    expect(table.header[1]).toBe("order");
    expect(table.rows).toEqual([
      ["b", "2 → 1", "0.700", "0.400", "+0.300"],
      ["a", "1 → 2", "0.600", "0.500", "+0.100"],
    ]);
  });

  it("say why cells are empty, each reason once", () => {
    expect(notes).toContain("delta-net at a step at 4,096: a step needs about 3 GB, and 2 GB are free");
    expect(notes.filter((note) => note.includes("rows of lsh must be multiples"))).toEqual([
      "gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary at 1,024 on text: rows of lsh must be multiples of its buckets",
    ]);
    expect(notes).toContain("failed: text, performer, seed 1: the process ran out of memory");
    expect(new Set(notes).size).toBe(notes.length);
  });
});

describe("notes", () => {
  const scores = { listops: [0.5, 0.52], other: [0.7, 0.72] };
  const tasks = [listops, { ...listops, label: "other" }];
  const reference = 'reference (of "vs reference"): a, the best full attention here';

  it("say how well accuracies are known", () => {
    // 1.96 √(0.25 / 514)
    const scored =
      "512 test rows are scored: accuracies near 0.5 are known to ± 0.043 (95 %); from a difference of fewer than 6 rows (0.012) nothing is concluded";
    expect(comparisonTables(madeComparison(tasks, [{ label: "a", scores, rows: 512 }])).notes).toContain(scored);
    const unknown = comparisonTables(madeComparison(tasks, [{ label: "a", scores }])).notes;
    expect(unknown.filter((note) => note.includes("scored"))).toEqual([]);
    const losses = comparisonTables(madeComparison([text], [{ label: "a", scores: { text: [2, 2.1] }, rows: 512 }]));
    expect(losses.notes.filter((note) => note.includes("scored"))).toEqual([]);
  });

  it("count answers where a row has several", () => {
    const one = madeComparison([recall], [{ label: "a", scores: { [recall.label]: [0.5] }, rows: 256 }]);
    const runs = one.runs.map((run) => {
      if (!("result" in run.outcome)) throw new Error("it failed");
      const { result } = run.outcome;
      return { ...run, outcome: { reused: false, result: { ...result, scored: { rows: 256, tokens: 4096 } } } };
    });
    expect(comparisonTables({ ...one, runs }).notes).toContain(
      "256 test rows are scored, with 16 answers each: accuracies near 0.5 are known to ± 0.061 (95 %), or to ± 0.015 if the answers of a row have nothing to do with each other",
    );
  });

  it("say once what holds for all tasks, and otherwise of which it does", () => {
    const { notes } = comparisonTables(madeComparison(tasks, [{ label: "a", scores }]));
    expect(notes[0]).toBe(reference);
    expect(notes.filter((note) => note.startsWith("±"))).toHaveLength(1);
    const apart = comparisonTables(
      madeComparison(tasks, [
        { label: "a", scores: { listops: [0.5, 0.52], other: [0.3, 0.32] } },
        { label: "b", scores: { listops: [0.4, 0.42], other: [0.7, 0.72] } },
      ]),
    );
    expect(apart.notes.slice(0, 2)).toEqual([`listops: ${reference}`, `other: ${reference.replace("a,", "b,")}`]);
  });
});

it("a budget is said with the steps that it made, of each task its own", () => {
  const one = madeComparison([text, recall], [{ label: "a", scores: { text: [2, 2.1], [recall.label]: [0.5] } }]);
  const withSteps = (...steps: number[]) => ({
    ...one,
    runs: one.runs.map((run, i) => ({ ...run, config: { ...run.config, steps: steps[i]! } })),
  });
  const titlesOf = (budget: Comparison["budget"], ...steps: number[]) =>
    comparisonTables({ ...withSteps(...steps), budget })
      .tables.map(({ title }) => /, ([^,]*(?:,\d+[^,]*)*) each,/.exec(title)?.[1])
      .filter((part) => part !== undefined);
  expect(titlesOf({ kind: "steps", amount: 1000 }, 10, 1000, 500)).toEqual(["10 to 1,000 steps", "500 steps"]);
  expect(titlesOf({ kind: "tokens", amount: 1 }, 1, 1, 2)).toEqual(["1 token (1 step)", "1 token (2 steps)"]);
  expect(titlesOf({ kind: "flops", amount: 1 }, 1, 1, 1)[0]).toBe("1 FLOP (1 step)");
  // How many steps fit into a time is known of results alone.
  expect(titlesOf({ kind: "seconds", amount: 120 }, 1, 1, 1)[0]).toBe("2 min 00 s (1,000 steps)");
  expect(markdownOf({ ...withSteps(10, 1000, 500), budget: { kind: "tokens", amount: 1 } }, [], [])).toContain(
    "Budget of each run: 1 token (10 to 1,000 steps); 2 seeds",
  );
});

describe("smaller comparisons", () => {
  it("call the loss of classes as the task does", () => {
    const byLength = { listops: { 1024: 0.5 } };
    const { tables } = comparisonTables(
      madeComparison([listops], [{ label: "a", scores: { listops: [0.5, 0.6] }, byLength }]),
    );
    const titles = tables.map(({ title }) => title).join("\n");
    expect(titles).toContain("listops: loss (nats per row) by length");
    expect(titles).not.toContain("per token");
  });

  it("explain ranks by those that there are", () => {
    const notesOf = (linear: readonly number[]) =>
      comparisonTables(
        madeComparison(
          [text],
          [
            { label: "softmax", scores: { text: [2, 2.01, 2.02] } },
            { label: "linear", scores: { text: linear } },
          ],
        ),
      ).notes;
    expect(notesOf([2.03, 2, 2.01])).toContain(
      "ranks as 1–2: these cannot be told from the best (Holm's correction); further ranks are in the order of means",
    );
    expect(notesOf([2.5, 2.51, 2.52])).toContain(
      "rank 1: better than all others (Holm's correction); further ranks are in the order of means",
    );
  });

  it("give an order and no ranks with one seed", () => {
    const { tables, notes } = comparisonTables(
      madeComparison(
        [text],
        [
          { label: "a", scores: { text: [2.5] } },
          { label: "b", scores: { text: [2.4] } },
        ],
      ),
    );
    expect(tables[0]!.header[1]).toBe("order");
    expect(tables[0]!.rows[0]!.slice(0, 3)).toEqual(["b", "1", "2.400"]);
    expect(notes).toContain("one seed: the order may be chance; --seeds 3 tells more");
  });

  it("rank the others where one has a single seed", () => {
    const { tables, notes } = comparisonTables(
      madeComparison(
        [text],
        [
          { label: "a", scores: { text: [2, 2.01, 2.02] } },
          { label: "b", scores: { text: [3, 3.01, 3.03] } },
          { label: "c", scores: { text: ["failed", 2.5, "failed"] } },
        ],
      ),
    );
    expect(tables[0]!.rows.map(([name, rank]) => [name, rank])).toEqual([
      ["a", "1–2"],
      ["c", "1–2"],
      ["b", "3"],
      ["unigram (baseline)", "–"],
    ]);
    expect(notes).toContain("c: one seed only, which can be told from nothing");
  });

  it("without training have costs at the longest length, the fastest first, then by length", () => {
    const { tables } = comparisonTables({ ...rich, runs: [], tasks: [text] });
    expect(tables.map(({ title }) => title)).toEqual([
      "text: a step forward and backward at length 4,096, FLOPs per token; × as a multiple of softmax",
      "text: tokens per second of a step forward and backward, and as a multiple of softmax",
      "text: peak memory of such a step, and as a multiple of softmax",
    ]);
    expect(tables[0]!.header).toEqual(["variant", "tok/s", "×", "memory", "×", "FLOPs", "×", "params", "state"]);
    for (const { rows } of tables)
      expect(rows.map(([name]) => name!.slice(0, 9))).toEqual([
        "window=64",
        "linear",
        "gpt · lsh",
        "softmax",
        "delta-net",
      ]);
    expect(tables[0]!.rows[0]).toEqual(["window=64", "23.4k", "3.9", "1.0 GB", "0.4", "5.0M", "1", "800k", "131 kB"]);
    expect(tables[0]!.rows[3]!.slice(0, 3)).toEqual(["softmax", "6.0k", "1"]);
    // It needs more memory than there is at that length.
    expect(tables[0]!.rows[4]!.slice(0, 3)).toEqual(["delta-net †", "–", "–"]);
  });

  it("without training and at one length are one", () => {
    const steps = { 512: [9000, 3e8] } as const;
    const { tables } = comparisonTables(
      madeComparison(
        [text],
        [
          { label: "softmax", steps },
          { label: "b", steps },
        ],
      ),
    );
    expect(tables).toHaveLength(1);
    const alone = comparisonTables(madeComparison([text], [{ label: "softmax", steps }])).tables;
    expect(alone[0]!.header).toEqual(["variant", "tok/s", "memory", "FLOPs", "params", "state"]);
  });

  describe("of many variants", () => {
    const made = (label: string, ...speeds: number[]): Made => ({
      label,
      settings: label === "softmax" ? {} : { mixer: "linear" },
      steps: Object.fromEntries(speeds.map((speed, i) => [512 * 2 ** i, [speed, speed < 5000 ? 5e8 : 3e8]])),
    });
    const variants = [
      made("softmax", 9000, 4000),
      made("late", 9000, 8000),
      made("always", 12_000, 12_000),
      made("never", 5500, 3000),
      // Ten percent may be chance.
      made("alike", 9500, 4300),
      made("early", 12_000, 4000),
    ];
    const { tables, crossovers, notes } = comparisonTables(madeComparison([text], variants));
    const column = (title: string) => {
      const { header, rows } = titled(tables, title);
      return { name: header.at(-1), cells: Object.fromEntries(rows.map((row) => [row[0], row.at(-1)])) };
    };

    it("have the length from which on each is better than full attention as a column, and no sentences of names", () => {
      expect(crossovers).toEqual([]);
      const { name, cells } = column("text: tokens per second");
      expect(name).toBe("faster from");
      expect(cells).toEqual({
        always: "512",
        late: "1,024",
        early: "never",
        alike: "never",
        never: "never",
        softmax: "–",
      });
      const memory = column("text: peak memory");
      expect(memory.name).toBe("less from");
      expect(memory.cells).toMatchObject({ always: "1,024", late: "1,024", never: "never" });
      expect(notes).toContain(
        "faster from, less from: the first length measured from which on a variant is faster than softmax, or takes less memory, by more than 10 %",
      );
    });

    it("have few sentences where there is no full attention to compare with", () => {
      const others = Array.from({ length: 14 }, (_, i) => made(`m${i}`, 9000 - 500 * i, 2000 + 700 * i));
      const found = comparisonTables(madeComparison([text], others)).crossovers;
      expect(found).toHaveLength(9);
      expect(found.at(-1)).toMatch(/^The report has \d+ more places/);
    });
  });

  it("have a mean where all tasks have one metric", () => {
    const tasks = [listops, { ...listops, label: "other" }];
    const scores = { listops: [0.5, 0.52], other: [0.7, 0.72] };
    const { tables } = comparisonTables(madeComparison(tasks, [{ label: "a", scores }]));
    expect(tables[0]!.title).toBe("All tasks: accuracy (test split), in brackets the rank");
    expect(rowOf(tables[0]!, "a")).toEqual(["a", "0.510 (1)", "0.710 (1)", "0.610", "1", "0", "0"]);
  });

  it("survive runs that all failed, and none at all", () => {
    const failed = comparisonTables(madeComparison([recall], [{ label: "a", scores: { [recall.label]: ["failed"] } }]));
    expect(failed.notes).toEqual(["failed: a, seed 0: the process ran out of memory"]);
    expect(comparisonTables(madeComparison([text], [])).tables).toEqual([]);
  });
});

describe("rendering", () => {
  const plain = (line: string) => line;
  const longest = (rendered: string) => Math.max(...rendered.split("\n").map((line) => line.length));

  it.each([30, 45, 60, 80, 100, 200])("fits into %d columns", (columns) => {
    for (const table of comparisonTables(rich).tables)
      expect(longest(renderTable(table, columns, plain))).toBeLessThanOrEqual(columns);
  });

  it("loses no cell, whatever the width", () => {
    for (const columns of [24, 40, 60, 80, 120]) {
      for (const table of comparisonTables(rich).tables) {
        const words = renderTable(table, columns, plain).split(/\s+/);
        for (const row of table.rows)
          for (const word of row.join(" ").split(/\s+/)) expect(words, `${word} at ${columns}`).toContain(word);
      }
    }
  });

  it("breaks names, then columns, then rows", () => {
    const table = {
      title: "a table",
      header: ["variant", "one", "two"],
      rows: [["a long name of a row", "111111", "222222"]],
    };
    expect(renderTable(table, 40, plain).split("\n")).toEqual([
      "a table",
      "variant                  one     two",
      "────────────────────  ──────  ──────",
      "a long name of a row  111111  222222",
    ]);
    expect(renderTable(table, 34, plain).split("\n")).toEqual([
      "a table",
      "variant              one     two",
      "────────────────  ──────  ──────",
      "a long name of a  111111  222222",
      "  row",
    ]);
    expect(renderTable(table, 27, plain).split("\n")).toEqual([
      "a table",
      "variant              one",
      "────────────────  ──────",
      "a long name of a  111111",
      "  row",
      "",
      "variant              two",
      "────────────────  ──────",
      "a long name of a  222222",
      "  row",
    ]);
    expect(renderTable(table, 20, plain).split("\n")).toEqual([
      "a table",
      "a long name of a row",
      "  one  111111",
      "  two  222222",
    ]);
  });
});
