import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sqlite from "node-sqlite3-wasm";
import { describe, expect, it } from "vitest";
import type { Comparison, RunResult } from "../../src/compare/results.ts";
import { openStore } from "../../src/store/index.ts";
import { indexFile } from "../../src/store/index-file.ts";
import { costsOf, recordsOf } from "../../src/store/records-of.ts";
import { comparisonFixture } from "../compare/exports-fixture.ts";
import { temporaryFolder, writeComparison } from "./folders.ts";

const finished = 43; // of 5 variants × 3 seeds × (1 + 2), less a failed one on each task

/** Adds a run's figures to those of a comparison, as a later call of the same command does. */
function withResult(comparison: Comparison, i: number, change: Partial<RunResult>): Comparison {
  const runs = comparison.runs.map((run, j) =>
    j === i && "result" in run.outcome
      ? { ...run, outcome: { ...run.outcome, result: { ...run.outcome.result, ...change } } }
      : run,
  );
  return { ...comparison, runs };
}

describe("records of a comparison", () => {
  it("say what was run, where, and with what result", () => {
    const records = recordsOf(comparisonFixture(), "compare-a");
    expect(records).toHaveLength(finished);
    expect(records.find(({ folder }) => folder === "recall-1-seed2-pretrained-first")).toMatchObject({
      comparison: "compare-a",
      task: "recall",
      taskLabel: "recall · pairs=8",
      objective: "tokens",
      variant: "gpt · performer · mixer.features=32",
      model: "gpt",
      mixer: "performer",
      pattern: "full",
      position: "learned",
      depth: "stack",
      layers: 4,
      modelWidth: 256,
      heads: 4,
      trainLength: 64,
      batchSize: 4,
      seed: 2,
      pretrained: true,
      stateBytes: 64 * 2048,
      flopsPerToken: 6 * 12_345,
      causal: true,
      metric: "loss",
      metricLabel: "loss (nats per token)",
      baseline: 2.3,
      scoredRows: null,
      better: "lower",
      score: 0.4 / 2 + 0.02,
      loss: 0.4 / 2 + 0.02,
      device: "cpu",
      version: "0.1.0",
    });
  });

  it("name the mixers of layers, and parts that a model does not leave open", () => {
    const records = recordsOf(comparisonFixture(), "compare-a");
    expect(new Set(records.map(({ mixer }) => mixer))).toEqual(
      new Set(["softmax", "performer", "local,routing", "linear", "own"]),
    );
  });

  it("have costs at every length, or why there are none", () => {
    const costs = costsOf(comparisonFixture(), "compare-a");
    expect(costs).toHaveLength(2 * 5 * 4);
    expect(costs.filter(({ missing }) => missing !== null)).toHaveLength(2);
    expect(costs.find(({ variant, length }) => variant === "=llama" && length === 128)).toMatchObject({
      model: "llama",
      rows: 1,
      tokensPerSecond: 1e6 / 128,
      peakBytes: 128e5,
      stateBytes: 128 * 2048,
      missing: null,
    });
  });

  it("say of variants without runs what the comparison says", () => {
    const all = comparisonFixture();
    const cells = all.cells.map((cell) => ({ ...cell, settings: { mixer: "lsh" } }));
    const [cost] = costsOf({ ...all, runs: [], cells }, "compare-a");
    expect(cost).toMatchObject({ model: "unknown", mixer: "lsh", depth: "unknown", layers: 4, config: null });
  });
});

describe("openStore", () => {
  it("takes in the comparisons of a folder, and gives records back as they were", async () => {
    const folder = temporaryFolder();
    const comparison = comparisonFixture();
    writeComparison(folder, "compare-a", comparison);
    const store = await openStore(folder);
    const byFolder = (a: { folder: string }, b: { folder: string }) => (a.folder < b.folder ? -1 : 1);
    expect(store.list().toSorted(byFolder)).toEqual(recordsOf(comparison, "compare-a").toSorted(byFolder));
    expect(new Set(store.costs())).toEqual(new Set(costsOf(comparison, "compare-a")));
  });

  it("is empty where there is nothing, and names a folder that is missing", async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    expect([store.list(), store.costs()]).toEqual([[], []]);
    await expect(openStore(join(folder, "none"))).rejects.toThrow("none: no such folder");
  });

  it("filters by values, lists of values, comparisons and values within JSON", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    const store = await openStore(folder);
    const count = (filter: Parameters<typeof store.list>[0]) => store.list(filter).length;
    expect(count({ match: { task: "copy" } })).toBe(14);
    expect(count({ match: { task: "copy", mixer: ["softmax", "linear"] } })).toBe(5);
    expect(count({ match: { pretrained: true } })).toBe(15);
    expect(count({ match: { stateBytes: null } })).toBe(9);
    expect(count({ match: { mixer: [] } })).toBe(0);
    expect(count({ where: [{ column: "loss", is: "<", value: 0.15 }] })).toBe(
      store.list().filter((r) => r.loss! < 0.15).length,
    );
    expect(count({ where: [{ column: "config.model.kind", is: "=", value: "llama" }] })).toBe(9);
    expect(count({ where: [{ column: "metrics.accuracy", is: ">=", value: 0.9 }] })).toBe(
      store.list().filter(({ metrics }) => metrics.accuracy! >= 0.9).length,
    );
    expect(count({ limit: 7 })).toBe(7);
  });

  it("sorts the best score first, whichever direction is better, and puts what is missing last", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", withResult(comparisonFixture(), 0, { metrics: { loss: Number.NaN } }));
    const store = await openStore(folder);
    const accuracies = store.list({ match: { task: "copy" }, sort: "score" }).map(({ score }) => score);
    expect(accuracies.at(-1)).toBe(null);
    const known = accuracies.slice(0, -1) as number[];
    expect(known).toEqual(known.toSorted((a, b) => b - a));
    const losses = store.list({ match: { task: "recall" }, sort: "score" }).map(({ score }) => score!);
    expect(losses).toEqual(losses.toSorted((a, b) => a - b));
    expect(store.list({ match: { task: "recall" }, sort: "score", reverse: true })[0]!.score).toBe(Math.max(...losses));
  });

  it("refuses unknown columns with the nearest name, and what is no text of a column", async () => {
    const store = await openStore(temporaryFolder());
    expect(() => store.list({ sort: "scor" })).toThrow('unknown column "scor"; did you mean "score"?');
    expect(() => store.list({ sort: '"; DROP TABLE runs; --' })).toThrow("unknown column");
    expect(() => store.list({ where: [{ column: 'config.a"b', is: "=", value: 1 }] })).toThrow("unknown column");
    expect(() => store.list({ limit: -1 })).toThrow("limit must be");
  });

  it("has a run of several comparisons once, as the last has it", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-b", comparisonFixture({ finishedAt: "2026-02-01T00:00:00.000Z" }));
    writeComparison(folder, "compare-a", comparisonFixture());
    const store = await openStore(folder);
    expect(store.list()).toHaveLength(finished);
    expect(new Set(store.list().map(({ comparison }) => comparison))).toEqual(new Set(["compare-b"]));
    expect(store.list({ match: { comparison: "compare-a" } })).toHaveLength(finished);
    expect(store.costs()).toHaveLength(40);
    rmSync(join(folder, "compare-b"), { recursive: true });
    await store.sync();
    expect(new Set(store.list().map(({ comparison }) => comparison))).toEqual(new Set(["compare-a"]));
  });

  it("follows what comparisons write later, and forgets those that are removed", async () => {
    const folder = temporaryFolder();
    const comparison = comparisonFixture();
    writeComparison(folder, "compare-a", { ...comparison, runs: comparison.runs.slice(0, 2) });
    const store = await openStore(folder);
    expect(store.list()).toHaveLength(2);
    writeComparison(folder, "compare-a", comparison);
    expect(store.list()).toHaveLength(2);
    await store.sync();
    expect(store.list()).toHaveLength(finished);
    rmSync(join(folder, "compare-a"), { recursive: true });
    expect((await openStore(folder)).list()).toEqual([]);
  });

  it("adds records once, however often they are added", async () => {
    const store = await openStore(temporaryFolder());
    const [first, ...rest] = recordsOf(comparisonFixture(), "compare-a");
    const costs = costsOf(comparisonFixture(), "compare-a");
    await store.add(first!);
    await store.add([first!, ...rest]);
    await store.add({ ...first!, seconds: 99 });
    await store.addCosts(costs);
    await store.addCosts(costs);
    expect(store.list()).toHaveLength(finished);
    expect(store.list({ match: { seconds: 99 } })).toHaveLength(1);
    expect(store.costs()).toHaveLength(40);
  });

  it("answers SELECTs, and nothing that would change something", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    const store = await openStore(folder);
    expect(store.query("SELECT task, count(*) AS n FROM runs GROUP BY task ORDER BY task")).toEqual([
      { task: "copy", n: 14 },
      { task: "recall", n: 29 },
    ]);
    const other = join(folder, "other.sqlite");
    for (const sql of [
      "DELETE FROM comparedRuns",
      `VACUUM INTO '${other}'`,
      `ATTACH '${other}' AS x`,
      "PRAGMA query_only = OFF",
    ])
      expect(() => store.query(sql), sql).toThrow("SELECT");
    for (const sql of ["SELECT 1; DELETE FROM comparedRuns", "SELECT 1; SELECT 2"])
      expect(() => store.query(sql)).toThrow("expected one SELECT, got several statements");
    expect(() => store.query("SELECT ';' AS a WHERE")).toThrow("syntax error");
    expect(store.query("SELECT 9007199254740993 AS large, 9007199254740991 AS most, ';' AS text;")).toEqual([
      { large: "9007199254740993", most: 9007199254740991, text: ";" },
    ]);
    expect(() => store.query("SELECT scor FROM runs")).toThrow('no such column: scor; did you mean "score"?');
    expect(existsSync(other)).toBe(false);
    expect(store.list()).toHaveLength(finished);
  });
});

describe("an index that is not as it should be", () => {
  const damages: Readonly<Record<string, (path: string) => void>> = {
    "is text": (path) => writeFileSync(path, "not a database".repeat(1000)),
    "is cut short": (path) => truncateSync(path, 20_000),
    "has zeros in the middle": (path) => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, 8192, 40_000));
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`is made again with a note when it ${what}`, async () => {
      const folder = temporaryFolder();
      writeComparison(folder, "compare-a", comparisonFixture());
      await openStore(folder);
      damage(join(folder, "runs.sqlite"));
      const notes: string[] = [];
      const store = await openStore(folder, { onNote: (text) => notes.push(text) });
      expect(store.list()).toHaveLength(finished);
      expect(notes).toHaveLength(1);
      expect(notes[0]).toContain("runs.sqlite: was damaged");
    });
  }

  const silent: Readonly<Record<string, (path: string) => void>> = {
    "is deleted": (path) => rmSync(path),
    "is empty": (path) => writeFileSync(path, ""),
    "is of another version": (path) => {
      const database = new sqlite.Database(path);
      database.exec("DROP VIEW runs; PRAGMA user_version = 99");
      database.close();
    },
  };
  for (const [what, change] of Object.entries(silent)) {
    it(`is made again without a word when it ${what}`, async () => {
      const folder = temporaryFolder();
      writeComparison(folder, "compare-a", comparisonFixture());
      await openStore(folder);
      change(join(folder, "runs.sqlite"));
      const notes: string[] = [];
      const store = await openStore(folder, { onNote: (text) => notes.push(text) });
      expect(store.list()).toHaveLength(finished);
      expect(notes).toEqual([]);
    });
  }

  it("says which results cannot be read, once, and lists the others", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    writeComparison(folder, "compare-old", { ...comparisonFixture(), version: 1 } as never);
    writeComparison(folder, "compare-wrong", { ...comparisonFixture(), tasks: [] });
    mkdirSync(join(folder, "compare-torn"));
    writeFileSync(join(folder, "compare-torn", "results.json"), '{"format":');
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    const store = await openStore(folder, { onNote });
    expect(store.list()).toHaveLength(finished);
    expect(notes.toSorted()).toEqual([
      expect.stringMatching(/compare-old.results\.json: .*version 2/),
      expect.stringMatching(/compare-torn.results\.json: expected JSON/),
      expect.stringMatching(/compare-wrong.results\.json: its form is wrong: it has no task "copy"/),
    ]);
    await openStore(folder, { onNote });
    expect(notes).toHaveLength(3);
  });

  it("is not hindered by files that are called as comparisons are", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    writeFileSync(join(folder, "compare-notes.txt"), "");
    const notes: string[] = [];
    const store = await openStore(folder, { onNote: (text) => notes.push(text) });
    expect(store.list()).toHaveLength(finished);
    expect(notes).toEqual([]);
  });

  it("need not be written to be read", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    // As on a disk that is read-only, the lock cannot be made, nor the index be replaced.
    mkdirSync(join(folder, "runs.lock"));
    mkdirSync(join(folder, "runs.sqlite"));
    writeFileSync(join(folder, "runs.sqlite", "file"), "");
    const notes: string[] = [];
    const store = await openStore(folder, { onNote: (text) => notes.push(text) });
    expect(store.list()).toHaveLength(finished);
    expect(store.query("SELECT count(*) AS n FROM costs")).toEqual([{ n: 40 }]);
    expect(notes).toEqual([
      expect.stringMatching(/; runs are read from the results of comparisons, without an index$/),
    ]);
    rmSync(join(folder, "runs.lock"), { recursive: true });
    rmSync(join(folder, "runs.sqlite"), { recursive: true });
    await store.sync();
    expect(readdirSync(folder).sort()).toEqual(["compare-a", "runs.sqlite"]);
    expect(store.list()).toHaveLength(finished);
  });

  it("leaves nothing among temporary files, even while it is read", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-a", comparisonFixture());
    await openStore(folder);
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith("tsformers-index-"));
    const before = left();
    const during = indexFile(folder).read((database) => [left(), database.get("SELECT count(*) AS n FROM runs")?.n]);
    if (process.platform !== "win32") expect(during).toEqual([before, finished]);
  });

  it("names what is no folder", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "");
    await expect(openStore(join(folder, "file"))).rejects.toThrow("file: expected a folder, this is a file");
    await expect(openStore(join(folder, "file", "x"))).rejects.toThrow(/x: no such f/);
  });

  it("is not hindered by what other programs and killed writers leave beside it", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "runs.sqlite.lock"));
    writeFileSync(join(folder, "runs.sqlite-journal"), "x".repeat(5000));
    writeFileSync(join(folder, ".runs.sqlite.1-abcd.tmp"), "half");
    writeFileSync(join(folder, "runs.lock"), JSON.stringify({ host: "", pid: 1, started: null }).slice(0, 9));
    writeComparison(folder, "compare-a", comparisonFixture());
    const store = await openStore(folder);
    expect(store.list()).toHaveLength(finished);
    expect(readdirSync(folder)).not.toContain(".runs.sqlite.1-abcd.tmp");
  });
});
