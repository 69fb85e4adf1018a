import { existsSync, readdirSync, readFileSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { patternSvg } from "tsformers/patterns";
import { describe, expect, test } from "vitest";
import { sizesOfPreset } from "../packages/tsformers/src/run/preset.ts";
import type { Laws } from "./harness/laws-reporter.ts";
import { examplesOf, pictureLength, picturesOf, systemIndex, systemPage } from "./harness/page.ts";
import { proofsOf } from "./harness/proofs.ts";
import { type Result, resultOf, resultsTable } from "./harness/result.ts";

const here = new URL(".", import.meta.url);
const docs = (file: string): string => new URL(`../docs/${file}`, here).pathname;
const examples = readdirSync(new URL("systems", here)).map((file) => file.replace(/\.ts$/, ""));
const read = (folder: string): [name: string, result: Result][] =>
  (existsSync(new URL(folder, here)) ? readdirSync(new URL(folder, here)) : [])
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => [file.replace(/\.json$/, ""), JSON.parse(readFileSync(new URL(`${folder}/${file}`, here), "utf8"))]);
const results: Readonly<Record<string, Result>> = Object.fromEntries(read("results"));
const seeds = read("results/seeds").map(([kept, result]) => [kept.replace(/-\d+$/, ""), result] as const);
const further = Object.fromEntries(
  examples.map((name) => [name, seeds.flatMap(([of, result]) => (of === name ? [result] : []))]),
);

describe.each(Object.values(systems))("$name", (system) => {
  test("has a source and an example", () => {
    expect(existsSync(new URL(`../packages/tsformers/src/${system.source}`, here)), system.source).toBe(true);
    expect(examples).toEqual(expect.arrayContaining([...examplesOf(system)]));
  });

  // `npm run docs` writes them.
  test("has a page and a picture", async () => {
    const { small, paper } = system.presets;
    const counts = {
      small: system.parameters(sizesOfPreset(small), small.run.model),
      paper: system.parameters(sizesOfPreset(paper), paper.run.model),
    };
    const page = systemPage(system, { counts, results });
    await expect(page).toMatchFileSnapshot(docs(`systems/${system.name}.md`));
    const picture = patternSvg(await picturesOf(system), pictureLength);
    await expect(picture).toMatchFileSnapshot(docs(`systems/images/${system.name}.svg`));
  });
});

test.each(examples)("%s is short, and its result is kept", (name) => {
  const source = readFileSync(new URL(`systems/${name}.ts`, here), "utf8");
  expect(source.split("\n").length).toBeLessThanOrEqual(101);
  expect(source).toContain(`prove("${name}"`);
  expect(results[name]?.reached, "what it reached, in examples/results").toBe(true);
});

// Whether they reach the target is said in docs/results.md.
test.each(seeds)("the result of %s with another seed is of the same settings", (name, { measure, size }) => {
  expect({ measure, size }).toEqual({ measure: results[name]?.measure, size: results[name]?.size });
});

test("every example belongs to a system", () => {
  const named = new Set(Object.values(systems).flatMap(examplesOf));
  expect(examples.filter((name) => !named.has(name))).toEqual([]);
});

test("docs/systems has an index, and no page of another system", async () => {
  await expect(systemIndex(Object.values(systems), results)).toMatchFileSnapshot(docs("systems/README.md"));
  const pages = readdirSync(docs("systems")).filter((file) => file.endsWith(".md") && file !== "README.md");
  expect(pages.sort()).toEqual(
    Object.keys(systems)
      .map((name) => `${name}.md`)
      .sort(),
  );
});

test("docs/results.md is made from the results", async () => {
  await expect(resultsTable(results, further)).toMatchFileSnapshot(docs("results.md"));
});

test("what `tsformers list` says is proved is what tests and examples found", async () => {
  const laws: Laws = JSON.parse(readFileSync(new URL("laws.json", here), "utf8"));
  const proofs = `${JSON.stringify(proofsOf(Object.values(systems), laws, results), null, 2)}\n`;
  await expect(proofs).toMatchFileSnapshot(new URL("../packages/tsformers/src/systems/proofs.json", here).pathname);
});

test("a target is compared in its direction", () => {
  const given = { measure: "m", ours: 1, plain: 2, plainIs: "p", target: 1.5, size: "s", paper: "p" };
  expect(resultOf({ ...given, better: "less" }).reached).toBe(true);
  expect(resultOf({ ...given, better: "more" }).reached).toBe(false);
  expect(resultOf({ ...given, better: "more", target: 1 }).reached).toBe(true);
});
