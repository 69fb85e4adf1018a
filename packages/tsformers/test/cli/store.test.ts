import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";

const cwd = mkdtempSync(join(tmpdir(), "tsformers-store-"));
afterAll(() => rmSync(cwd, { recursive: true }));

const cli = (...args: string[]) => runCli(args, { cwd });
const size = [
  "--layers",
  "1",
  "--model-width",
  "16",
  "--heads",
  "2",
  "--length",
  "16",
  "--steps",
  "3",
  "--batch-size",
  "4",
];

beforeAll(async () => {
  writeFileSync(join(cwd, "a.txt"), "Pack my box with five dozen liquor jugs, she said. ".repeat(20));
  writeFileSync(join(cwd, "b.txt"), "She said five jugs, my box. ".repeat(30));
  await cli("train", "run", "--task", "text", "--data", "a.txt", "--model", "transformer-xl", ...size);
  await cli("store", "build", "run", "store");
}, 60_000);

describe("store build", () => {
  test("makes a datastore of the run's training split", async () => {
    expect(existsSync(join(cwd, "store", "store.json"))).toBe(true);
    const { out, code } = await cli("store", "build", "run", "other", "--data", "b.txt", "--other-data", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ directory: "other", split: "train", entries: 755 });
  });

  test.each<[string, string[], string]>([
    ["a folder that is there", ["build", "run", "store"], "is there already"],
    ["other data without a word", ["build", "run", "new", "--data", "b.txt"], "not those that the run was made with"],
    ["no file for neighbours", ["neighbours", "run", "store"], "--out: neighbours are written to a file"],
  ])("refuses %s", async (_, args, words) => {
    const { log, code } = await cli("store", ...args);
    expect(log).toContain(words);
    expect(code).toBe(2);
    expect(existsSync(join(cwd, "new"))).toBe(false);
  });
});

describe("eval --store", () => {
  test("tunes on the validation split, and is better than the model alone", async () => {
    const { out, code } = await cli("eval", "run", "--store", "store", "--json");
    expect(code).toBe(0);
    const { alone, mixed, tunedOnValid, entries } = JSON.parse(out);
    expect(tunedOnValid).toBe(true);
    expect(entries).toBe(917);
    expect(mixed.loss).toBeLessThan(0.7 * alone.loss);
    const plain = JSON.parse((await cli("eval", "run", "--json")).out);
    expect(alone.loss).toBeCloseTo(plain.results[0].loss, 4);
  });

  test("takes k and λ as they are given", async () => {
    const { out } = await cli("eval", "run", "--store", "store", "--nearest", "3", "--lambda", "0.5");
    expect(out).toContain("917 entries, 3 neighbours, share 0.5");
    expect(out).toMatch(/model alone .*\n.*with the datastore /);
  });

  test.each<[string, string[], string]>([
    ["neighbours without a datastore", ["--nearest", "3"], "--nearest: is for --store"],
    ["lengths", ["--store", "store", "--lengths", "8"], "--lengths: with --store rows have the training length"],
    ["a share of 1", ["--store", "store", "--lambda", "1"], "from 0 up to, but without, 1"],
  ])("refuses %s", async (_, args, words) => {
    const { log, code } = await cli("eval", "run", ...args);
    expect(log).toContain(words);
    expect(code).toBe(2);
  });
});

describe("generate --store", () => {
  test("writes what the datastore holds, where its share is large", async () => {
    const args = ["generate", "run", "--prompt", "Pack my box with five ", "--temperature", "0", "--max-tokens", "12"];
    const { out, code } = await cli(...args, "--store", "store", "--lambda", "0.99", "--nearest", "1");
    expect(code).toBe(0);
    expect(out).toBe("dozen liquor\n");
    expect((await cli(...args)).out).not.toBe(out);
  });

  test.each<[string, string[], string]>([
    ["neighbours without a datastore", ["--nearest", "3"], "--nearest would do nothing: it is for --store"],
    ["a share of 0", ["--store", "store", "--lambda", "0"], "--lambda would do nothing"],
    ["more neighbours than entries", ["--store", "store", "--nearest", "5000"], "expected 1 to 917 neighbours"],
    ["a folder that is none", ["--store", "run"], "run: "],
  ])("refuses %s", async (_, args, words) => {
    const { log, code } = await cli("generate", "run", "--prompt", "Pack", "--max-tokens", "2", ...args);
    expect(log).toContain(words);
    expect(log.trim().split("\n")).toHaveLength(1);
    expect(code).not.toBe(0);
  });

  test("refuses the datastore of another model", async () => {
    await cli("train", "another", "--task", "text", "--data", "a.txt", "--model", "gpt", ...size);
    const { log, code } = await cli("generate", "another", "--store", "store", "--max-tokens", "2");
    expect(log).toContain("was built by another model");
    expect(code).toBe(1);
  });
});

test("spalm trains with neighbours, goes on, is measured and writes", async () => {
  const table = await cli("store", "neighbours", "run", "store", "--out", "a.neighbours", "--nearest", "2");
  expect(table.out).toContain("a.neighbours: 2 neighbours for each token");
  const task = ["--task", "text", "--data", "a.txt", "--neighbours", "a.neighbours"];
  expect((await cli("train", "spalm", "--model", "spalm", ...task, ...size)).code).toBe(0);
  expect((await cli("train", "spalm", "--steps", "5")).out).toContain("5 steps");
  expect((await cli("eval", "spalm")).code).toBe(0);
  expect((await cli("generate", "spalm", "--prompt", "Pack", "--max-tokens", "5")).code).toBe(0);
  const wrong = await cli("train", "plain", "--model", "transformer-xl", ...task, ...size);
  expect(wrong.log).toContain("transformer-xl: reads no neighbours; spalm does");
  const other = await cli("train", "other-text", "--model", "spalm", ...task.with(3, "b.txt"), ...size);
  expect(other.log).toContain("is for another text");
  expect(other.code).toBe(2);
});
