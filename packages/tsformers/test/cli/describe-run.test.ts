import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spanLines, stepLines } from "../../src/cli/describe-run.ts";
import { main } from "../../src/cli/main.ts";
import { openModel } from "../../src/run/open-model.ts";

const home = mkdtempSync(join(tmpdir(), "tsformers-describe-run-"));
afterAll(() => rmSync(home, { recursive: true }));
const at = (name: string): string => join(home, name);

async function run(args: readonly string[], columns = 80, unicode = true) {
  const [out, log]: [string[], string[]] = [[], []];
  const write = (text: string) => void out.push(text);
  const terminal = { out: write, write, log: (text: string) => void log.push(text), columns, unicode };
  const code = await main(args, { ...terminal, bold: (text) => text, dim: (text) => text });
  return { code, out: out.join("\n"), log: log.join("\n") };
}

const tiny = [
  "--steps",
  "1",
  "--batch-size",
  "2",
  "--length",
  "16",
  "--layers",
  "3",
  "--model-width",
  "8",
  "--heads",
  "2",
];

beforeAll(async () => {
  const universal = ["--task", "text", "--model", "universal-transformer"];
  const spans = ["--task", "text", "--model", "adaptive-span-transformer", "--max-span", "200", "--ramp", "5"];
  for (const [name, ...settings] of [
    ["universal", ...universal],
    ["spans", ...spans, "--start-share", "0.1"],
  ])
    expect(await run(["train", at(name!), ...settings, ...tiny])).toMatchObject({ code: 0 });
}, 120_000);

test("the steps of each position are drawn above a text", async () => {
  const { code, out } = await run(["describe", at("universal"), "--prompt", "a cat sees a dog "]);
  expect(code).toBe(0);
  expect(out).toMatch(/model +universal-transformer/);
  // With the bias that halting begins with, two of three steps.
  expect(out).toContain("Steps of each position, 3 at most\n  ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆\n  a cat sees a dog\n  mean 2.00");
  const { run: told } = JSON.parse((await run(["describe", at("universal"), "--prompt", "a cat", "--json"])).out);
  expect(told.steps).toEqual({ isText: true, most: 3, tokens: [..."a cat"].map((text) => ({ text, steps: 2 })) });
});

test("the spans of heads are listed by layer, and models are opened without what lies beyond them", async () => {
  const { out } = await run(["describe", at("spans")]);
  const { model } = await openModel(at("spans"));
  const spans = "spans" in model ? model.spans!((await openModel(at("spans"))).params as never) : [];
  expect(spans).toHaveLength(3);
  for (const span of spans.flat()) expect(Math.abs(span - 25)).toBeLessThanOrEqual(1);
  expect(out).toMatch(/layer 0 {2}█+ +2\d 2\d\n {2}layer 1/);
  for (const { keys } of "patterns" in model ? model.patterns : []) {
    const [from, to] = keys(150, 200);
    expect([to, 150 - from! >= 25 && 150 - from! <= 28]).toEqual([150, true]);
  }
  expect((await run(["generate", at("spans"), "--prompt", "a", "--max-tokens", "40"])).code).toBe(0);
});

test("narrow terminals get more rows, and plain ones plain characters", () => {
  const tokens = [..."halting by itself"].map((text, i) => ({ text, steps: 1 + (i % 4) }));
  const lines = stepLines({ tokens, isText: true, most: 4 }, { columns: 10, unicode: true });
  expect(lines).toEqual(["  ▂▄▆█▂▄▆█", "  halting", "  ▂▄▆█▂▄▆█", "  by itsel", "  ▂", "  f", "  mean 2.41"]);
  expect(stepLines({ tokens, isText: true, most: 4 }, { columns: 80, unicode: false })[0]).toBe("  12341234123412341");
  const words = ["jump", "twice\n"].map((text, i) => ({ text, steps: i + 1 }));
  expect(stepLines({ tokens: words, isText: true, most: 2 }, { columns: 80, unicode: true })).toEqual([
    "  ▄▄▄▄ ██████",
    "  jump twice¶",
    "  mean 1.50",
  ]);
  const numbers = ["1", "2", "3"].map((text, i) => ({ text, steps: i + 1 }));
  expect(stepLines({ tokens: numbers, isText: false, most: 3 }, { columns: 80, unicode: true })).toEqual([
    "  ▃ ▆ █",
    "  1 2 3",
    "  mean 2.00",
  ]);
  const spans = [
    [32, 40],
    [33, 800],
  ];
  expect(spanLines(spans, { columns: 80, unicode: false })).toEqual([
    `  layer 0  ${"#".padEnd(20)}  32 40`,
    `  layer 1  ${"#".repeat(20)}  33 800`,
  ]);
  const many = spanLines([new Array<number>(16).fill(1000)], { columns: 40, unicode: true }).join("\n");
  expect(Math.max(...many.split("\n").map((line) => line.length))).toBeLessThanOrEqual(40);
});

test.each([
  [["universal", "--layers", "2"], "--layers: a run has its own settings; leave that out"],
  [["spans", "--prompt", "a"], "all positions of this model take the same steps; leave the prompt out"],
  [["universal", "--prompt", ""], "the prompt is empty"],
  [["universal", "--prompt-tokens", "999"], "got 999"],
])("%j is refused", async ([name, ...flags], message) => {
  const { code, log } = await run(["describe", at(name!), ...flags]);
  expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining(message) });
});

test("a prompt is for runs alone", async () => {
  const { code, log } = await run(["describe", "alibi", "--prompt", "a"]);
  expect({ code, log }).toEqual({
    code: 2,
    log: expect.stringContaining("--prompt does nothing with alibi; it is for the folder of a run"),
  });
});
