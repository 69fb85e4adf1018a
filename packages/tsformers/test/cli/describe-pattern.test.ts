import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { catalogues } from "../../src/cli/catalogues.ts";
import { runFlags } from "../../src/cli/config-flags.ts";
import { main } from "../../src/cli/main.ts";
import { flagName } from "../../src/run/flags.ts";
import { parts } from "../../src/run/parts.ts";

const home = mkdtempSync(join(tmpdir(), "tsformers-describe-"));
afterAll(() => rmSync(home, { recursive: true }));

type Ran = { readonly code: number; readonly out: string; readonly log: string };

async function run(args: readonly string[], columns = 80, unicode = true): Promise<Ran> {
  const [out, log]: [string[], string[]] = [[], []];
  const write = (text: string) => void out.push(text);
  const terminal = { out: write, write, log: (text: string) => void log.push(text), columns, unicode };
  const code = await main(args, { ...terminal, bold: (text) => text, dim: (text) => text });
  return { code, out: out.join("\n"), log: log.join("\n") };
}

const json = async (...args: string[]) => JSON.parse((await run(["describe", ...args, "--json"])).out).descriptions[0];

describe("a pattern", () => {
  test("is drawn, and counted", async () => {
    const { code, out } = await run(["describe", "patterns/longformer", "--length", "64", "--pattern.window", "8"]);
    expect(code).toBe(0);
    // Windows of 9 keys, cut by 20 at the ends; position 0 beyond them both ways.
    expect(out).toMatch(/density +16\.5 %: 674 of 4,096 pairs/);
    expect(out).toMatch(/sees through 1 layer +6 to 64, mean 10\.5, last position 6/);
    expect(out).toMatch(/sees through 2 to 4 layers +all 64/);
    expect(out).toContain("│██████▀▀▀");
    expect(out.split("\n").filter((line) => line.startsWith("│"))).toHaveLength(32);
  });

  test("counts its operations over heads and layers", async () => {
    const place = ["--length", "10", "--layers", "3", "--heads", "2", "--model-width", "12"];
    const { pattern } = await json("full", ...place, "--direction", "bidirectional");
    expect(pattern).toMatchObject({ pairs: 100, density: 1, flops: 3 * 2 * 4 * 100 * 6 });
    expect((await json("full", ...place)).pattern).toMatchObject({ pairs: 55, causal: true });
    expect(pattern.receptiveField).toEqual(new Array(3).fill({ least: 10, mean: 10, most: 10, last: 10 }));
  });

  test("takes lists, lists of lists, words and switches", async () => {
    const pairs = async (...args: string[]) => (await json(...args)).pattern.pairs;
    expect(await pairs("global", "--length", "10", "--pattern.positions", "1,4")).toBe(2 * 10 + 2 * 8);
    expect(await pairs("global", "--length", "10", "--pattern.positions", "[1, 4]")).toBe(2 * 10 + 2 * 8);
    expect(await pairs("blockwise", "--length", "12", "--pattern.permutations", "[[0,1,2],[2,0,1]]")).toBe(48);
    const fixed = ["fixed", "--length", "16", "--pattern.stride", "4", "--pattern.use", "layers"];
    expect(await pairs(...fixed, "--pattern.with-first")).toBeGreaterThan(await pairs(...fixed));
    expect(await pairs(...fixed, "--pattern.withFirst", "false")).toBe(await pairs(...fixed));
  });

  test.each([40, 80])("stays within %i columns, with plain characters where asked for", async (columns) => {
    for (const name of Object.keys(parts.pattern.catalogue)) {
      const { out } = await run(["describe", `patterns/${name}`, "--ascii"], columns);
      const picture = out.slice(out.lastIndexOf("\n\n"));
      expect(Math.max(...picture.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect([...picture].filter((character) => character > "~")).toEqual([]);
    }
    expect((await run(["describe", "window"], columns, false)).out).toContain("queries down");
  });

  test("is written as SVG, or the reason why not", async () => {
    const file = join(home, "picture.svg");
    const { code } = await run(["describe", "strided", "--pattern.use", "heads", "--svg", file]);
    expect(code).toBe(0);
    const svg = readFileSync(file, "utf8");
    expect(svg).toContain('<svg xmlns="http://www.w3.org/2000/svg"');
    expect(svg.match(/<path/g)).toHaveLength(2);
    const { code: failed, log } = await run(["describe", "window", "--svg", join(home, "absent", "x.svg")]);
    expect([failed, log]).toEqual([2, expect.stringContaining("its folder does not exist")]);
  });
});

test.each(Object.keys(parts.mixer.catalogue))("the mechanism %s is described, with its parameters", async (name) => {
  const { code, out } = await run(["describe", `mechanisms/${name}`]);
  expect(code).toBe(0);
  for (const heading of ["formula", "paper", "cost", "grows as", "directions", "parameters"]) {
    expect(out).toMatch(new RegExp(`^  ${heading} `, "m"));
  }
});

test.each([
  [["describe", "lonformer"], "did you mean longformer?"],
  [["describe", "longformer", "--pattern.windw", "3"], "did you mean --pattern.window?"],
  [["describe", "gpt", "--stride", "3"], "did you mean --pattern.stride?"],
  [["describe", "gpt", "--pattern.stride", "3"], "--pattern.stride needs --pattern fixed or strided"],
  [
    ["describe", "llama", "--mixer", "lsh"],
    "--mixer: llama has its own mixers; gpt, decision-transformer and bert take any",
  ],
  [["describe", "patterns/longformer", "--ffn-width", "3"], "--ffn-width does nothing with longformer"],
  [["describe", "patterns/longformer", "--pattern.window", "wide"], "--pattern.window: expected a whole number"],
  [["describe", "patterns/longformer", "--pattern.window", "5"], "even window"],
  [["describe", "strided", "--pattern.use", "hads"], 'did you mean "heads"?'],
  [["describe", "blockwise", "--pattern.permutations", "[[0,"], "expected a whole number"],
  [["describe", "blockwise", "--direction", "causal"], "is bidirectional only"],
  [["describe", "window", "--length", "0"], "--length: expected a whole number from 1"],
  [["describe", "window", "--heads", "3"], "--heads 3 does not divide --model-width 256"],
  [["describe", "alibi", "--svg", "x.svg"], "--svg draws patterns"],
  [["describe", "alibi", "--direction", "causal"], "--direction does nothing with alibi"],
  [["describe", "alibi", "--pattern.window", "5"], "--pattern.window does nothing with alibi"],
  [["describe", "alibi", "--radius", "5"], "did you mean --mixer.radius or --pattern.radius?"],
  [["describe", "adamw", "--optimiser.beta1", "0.5"], "--optimiser.beta1 does nothing with adamw"],
  [["describe", "longformer", "--mixer.window", "wide"], "--mixer.window: expected a whole number"],
  [["list", "pattern"], 'did you mean "patterns"?'],
])("%j is refused", async (args, words) => {
  const { code, out, log } = await run(args);
  expect(log).toContain(words);
  expect([code, out]).toEqual([2, ""]);
});

test.each(Object.entries(catalogues))(
  "%s are described with the flags that train takes",
  async (what, { entries, path }) => {
    for (const name of Object.keys(entries)) {
      const { code, out } = await run(["describe", `${what}/${name}`], 1000);
      expect(code).toBe(0);
      const printed = [...out.matchAll(/^ {2}(--\S+)/gm)].map(([, flag]) => flag);
      const settings = runFlags.filter(
        ({ path: own, nodes, kinds }) =>
          nodes.has(name) && (kinds === undefined ? own.slice(0, -1) : own.slice(0, -2)).join() === path.join(),
      );
      expect(printed).toEqual(settings.map(flagName));
    }
  },
);

test("flags of a model and its parts count", async () => {
  const total = async (...args: string[]) => (await json("models/gpt", ...args)).parameters.total;
  const two = ["--layers", "2", "--model-width", "32", "--length", "16"];
  const plain = await total(...two);
  expect(await total(...two, "--position", "alibi")).toBe(plain - 16 * 32);
  expect(await total(...two, "--model.layers", "1")).toBeLessThan(plain);
  expect(await total(...two, "--mixer", "softmax,sinkhorn")).toBeGreaterThan(plain);
  const narrow = ["--mixer", "sinkhorn", "--mixer.sort-width", "4"];
  expect(await total(...two, ...narrow)).toBeLessThan(await total(...two, "--mixer", "sinkhorn"));
  expect((await json("mechanisms/sinkhorn", ...two.slice(2), "--mixer.sortWidth", "4")).parameters.total).toBeLessThan(
    (await json("mechanisms/sinkhorn", ...two.slice(2))).parameters.total,
  );
});

test("list shows patterns and mechanisms", async () => {
  const listed = JSON.parse((await run(["list", "--json"])).out);
  expect(listed.patterns.map(({ name }: { name: string }) => name)).toEqual(Object.keys(parts.pattern.catalogue));
  expect(listed.mechanisms.map(({ name }: { name: string }) => name)).toEqual(Object.keys(parts.mixer.catalogue));
  for (const { cost, exponent, directions } of [...listed.patterns, ...listed.mechanisms]) {
    expect([cost, exponent, directions].every(Boolean)).toBe(true);
  }
});
