import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import { comparisonFixture } from "../compare/exports-fixture.ts";

type CliResult = { readonly code: number; readonly out: string; readonly log: string };

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-runs-"));
  mkdirSync(join(home, "runs", "compare-five"), { recursive: true });
  writeFileSync(join(home, "runs", "compare-five", "results.json"), JSON.stringify(comparisonFixture()));
});
afterAll(() => rmSync(home, { recursive: true }));

/** Calls the command in this process, on the folder of runs. */
const runs = (args: readonly string[], columns = 220): Promise<CliResult> =>
  call([join(home, "runs"), ...args], columns);

async function call(args: readonly string[], columns = 220): Promise<CliResult> {
  let [out, log] = ["", ""];
  const plain = (text: string) => text;
  const code = await main(["runs", ...args], {
    out: (text) => (out += `${text}\n`),
    write: (text) => (out += text),
    log: (text) => (log += `${text}\n`),
    columns,
    unicode: true,
    bold: plain,
    dim: plain,
  });
  return { code, out, log };
}

/** The lines of a table below its header. */
function bodyOf({ out }: CliResult): string[] {
  return out.trimEnd().split("\n").slice(2);
}

describe("tsformers runs", () => {
  it("lists runs, and says how many there are", async () => {
    const listed = await runs([]);
    expect(listed.code).toBe(0);
    expect(listed.out.split("\n")[0]).toMatch(
      /^variant +task +seed +ranked by +score +loss +length +steps .* finished$/,
    );
    expect(bodyOf(listed)).toHaveLength(43);
    expect(listed.log).toContain("43 runs");
  });

  it("names runs of train, which it does not list", async () => {
    const folder = join(home, "trained");
    for (const name of ["book", "copy-softmax-seed0-0123abcd", "no-run"])
      mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "copy-softmax-seed0-0123abcd", "task.json"), "{}");
    expect((await call([folder])).log).not.toContain("not listed");
    writeFileSync(join(folder, "book", "task.json"), "{}");
    const { log, code } = await call([folder]);
    expect([code, log.split("\n")[1]]).toEqual([
      0,
      `not listed, as \`tsformers train\` measures nothing on the test split: book; \`tsformers eval ${join(folder, "book")}\` does`,
    ]);
  });

  it("filters and sorts, best score first", async () => {
    const listed = await runs(["--task", "copy", "--where", "seed<2,score>=0.5", "--sort", "score", "--limit", "3"]);
    expect(bodyOf(listed).map((line) => line.replace(/ {2,}/g, "|").split("|").slice(0, 5))).toEqual([
      ["gpt · softmax", "copy", "0", "accuracy", "0.900"],
      ["gpt · softmax", "copy", "1", "accuracy", "0.890"],
      ["=llama", "copy", "0", "accuracy", "0.800"],
    ]);
    expect(bodyOf(await runs(["--mixer", "routing,linear", "--task", "recall · pairs=8"]))).toHaveLength(6 + 5);
    expect(bodyOf(await runs(["--where", "mixer.kind=performer"]))).toHaveLength(9);
    expect(bodyOf(await runs(["--where", "mixer=[local,routing],seed=0"]))).toHaveLength(3);
    expect(bodyOf(await runs(["--where", "length=64", "--where", "pretrained=true"]))).toHaveLength(15);
  });

  it("leaves columns away where there is no room for them, and shows lists where there is room for none", async () => {
    for (const width of [110, 80, 60]) {
      const listed = await runs(["--task", "copy"], width);
      expect(Math.max(...listed.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(bodyOf(listed), String(width)).toHaveLength(14);
      expect(listed.log).toContain("not shown for lack of room: ");
    }
    const narrow = await runs(["--task", "copy", "--mixer", "performer", "--limit", "1"], 30);
    for (const line of narrow.out.split("\n")) expect(line.length).toBeLessThanOrEqual(30);
    expect(narrow.out).toMatch(/task.*copy.*score.*0\.\d+/s);
  });

  it("prints JSON, CSV and chosen columns, and writes Parquet", async () => {
    const json = JSON.parse((await runs(["--json", "--limit", "2"])).out) as { runs: Record<string, unknown>[] };
    expect(json.runs).toHaveLength(2);
    expect(json.runs[0]).toMatchObject({ model: expect.any(String), metrics: { loss: expect.any(Number) } });
    const csv = (await runs(["--csv"])).out.split("\r\n");
    expect(csv).toHaveLength(45);
    expect(csv[0]).toMatch(/^folder,comparison,task,.*byLength$/);
    const chosen = await runs([
      "--columns",
      "variant,metrics.accuracy,batch-size",
      "--task",
      "copy",
      "--csv",
      "--sort",
      "loss",
    ]);
    expect(chosen.out.split("\r\n").slice(0, 2)).toEqual([
      "variant,metrics.accuracy,batch-size",
      "gpt · softmax,0.9,4",
    ]);
    expect((await runs(["--all-columns"])).out).toContain("memoryBytes");
    expect((await runs(["--parquet", join(home, "all.parquet")])).log).toContain("all.parquet: 43 rows");
    const bytes = readFileSync(join(home, "all.parquet"));
    const rows = await parquetReadObjects({ file: new Uint8Array(bytes).buffer });
    expect(rows).toHaveLength(43);
    expect(rows[0]).toMatchObject({ trainLength: 64n, metrics: { loss: expect.any(Number) } });
  });

  it("answers SELECTs", async () => {
    const sql =
      "SELECT mixer, count(*) AS n, avg(score) AS mean FROM runs WHERE task = 'copy' GROUP BY mixer ORDER BY mean DESC";
    const listed = await runs(["--sql", sql]);
    expect(listed.out.split("\n")[0]).toMatch(/^mixer +n +mean$/);
    expect(bodyOf(listed)[0]).toMatch(/^softmax +3 +0\.89$/);
    expect(JSON.parse((await runs(["--sql", "SELECT count(*) AS n FROM costs", "--json"])).out)).toEqual({
      runs: [{ n: 40 }],
    });
    expect(await runs(["--sql", "SELECT * FROM runs WHERE 0"])).toMatchObject({ code: 0, log: "no rows\n" });
  });

  it.each([
    [["--sort", "scor"], 'unknown column "scor"; did you mean "score"?'],
    [["--where", "sed=1"], 'unknown column "sed"; did you mean "seed"?'],
    [["--where", "metric.accuracy=1"], 'unknown column "metric.accuracy"'],
    [["--where", "seed"], "--where: expected conditions"],
    [["--where", "seed=x"], '--where seed: expected a number, got "x"'],
    [["--columns", "variannt"], 'unknown column "variannt"; did you mean "variant"?'],
    [["--columns", ""], "Expected at least one name."],
    [["--mixer", ","], "Expected at least one name."],
    [["--where", "config.model.headz=4"], 'no run has a value at "config.model.headz"; did you mean "heads"?'],
    [["--where", "metrics.acuracy>0"], 'no run has a value at "metrics.acuracy"; did you mean "accuracy"?'],
    [["--sort", "metrics.nope"], 'no run has a value at "metrics.nope"; expected one of'],
    [["--parquet", "."], "--parquet .: is a folder, expected a file"],
    [["--mixer", "perfomer"], '--mixer: no run has "perfomer"; did you mean "performer"?'],
    [["--limit", "0"], "--limit"],
    [["--parquet", "x", "--csv"], "--csv and --parquet: give one of them"],
    [["--sql", "SELECT 1", "--task", "copy"], "leave away --task"],
    [["--sql", "DELETE FROM runs"], "expected a SELECT"],
    [["--sql", "SELECT scor FROM runs"], 'no such column: scor; did you mean "score"?'],
    [["--parquet", "no/such/file"], "its folder does not exist"],
  ])("refuses %j", async (args, message) => {
    const refused = await runs(args);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.log).toContain(message);
    expect(refused.log).not.toContain("    at ");
  });

  it("says where there are no runs, and leaves nothing there; and where none is wanted", async () => {
    mkdirSync(join(home, "empty"));
    expect(await call([join(home, "empty")])).toMatchObject({
      code: 0,
      out: "",
      log: expect.stringContaining("no finished runs"),
    });
    expect(readdirSync(join(home, "empty"))).toEqual([]);
    const none = join(home, "none");
    expect((await call([none])).log).toContain(
      `none: no such folder; \`tsformers compare --out ${none}\` makes runs there`,
    );
    expect((await runs(["--where", "seed=77"])).log).toContain("runs: none of 43 runs is like that");
    expect(JSON.parse((await call([join(home, "empty"), "--json"])).out)).toEqual({ runs: [] });
  });

  it("shows runs, with a note, when the index was damaged", async () => {
    writeFileSync(join(home, "runs", "runs.sqlite"), "damaged".repeat(100));
    const listed = await runs([]);
    expect(bodyOf(listed)).toHaveLength(43);
    expect(listed.log).toMatch(/runs\.sqlite: was damaged/);
    expect(existsSync(join(home, "runs", "runs.sqlite"))).toBe(true);
  });
});
