import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Comparison } from "../../src/compare/results.ts";
import { program, runCli } from "../cli/run-cli.ts";

// Each comparison starts several processes, one after the other.
vi.setConfig({ testTimeout: 180_000 });

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-compare-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const tiny = [
  "--task",
  "copy",
  "--length",
  "8",
  "--layers",
  "1",
  "--model-width",
  "16",
  "--heads",
  "2",
  "--batch-size",
  "4",
  "--test-tokens",
  "64",
];
const compare = (...more: string[]) => runCli(["compare", ...tiny, "--out", "out", ...more], { cwd: home });
const results = () => JSON.parse(readFileSync(join(home, "out", "results.json"), "utf8")) as Comparison;

it("compares, writes results and report, and takes finished runs as they are", async () => {
  const options = ["--positions", "sinusoidal,alibi", "--steps", "12", "--eval-every", "4", "--multiples", "1,2"];
  const first = await compare(...options, "--seeds", "2");
  expect(first.log).not.toContain("failed");
  expect(first.code).toBe(0);
  expect(first.out).toContain("Loss (nats per token) by length");
  const made = results();
  expect(made.runs.map(({ id }) => id)).toEqual(["sinusoidal-seed0", "alibi-seed0", "sinusoidal-seed1", "alibi-seed1"]);
  for (const { outcome } of made.runs) {
    if (!("result" in outcome)) throw new Error("a run failed");
    const { result } = outcome;
    expect(result.byLength.map(({ length }) => length)).toEqual([8, 16]);
    expect(result.validCurve.map(({ step }) => step)).toEqual([4, 8, 12]);
    expect(result.metrics.loss).toBeGreaterThan(0.5);
    expect(result.peakBytes).toBeGreaterThan(20e6);
    expect(result.trainTokensPerSecond).toBeGreaterThan(0);
    expect(outcome.reused).toBe(false);
  }
  const steps = made.runs.map(({ outcome }) => ("result" in outcome ? outcome.result.steps : undefined));
  expect(steps.map((of) => of?.map(({ length }) => length))).toEqual([[8, 16], [8, 16], undefined, undefined]);
  for (const step of steps.flatMap((of) => of ?? [])) {
    expect(step).toMatchObject({ tokensPerSecond: expect.any(Number), peakBytes: expect.any(Number) });
  }
  expect(first.out).toContain("Tokens per second of a step forward and backward, by length");
  const report = readFileSync(join(home, "out", "report.html"), "utf8");
  for (const { id } of made.runs) expect(report).toContain(id);

  const again = await compare(...options, "--seeds", "2", "--json");
  expect(again.code).toBe(0);
  const reused = JSON.parse(again.out) as Comparison;
  expect(reused.runs.every(({ outcome }) => "result" in outcome && outcome.reused)).toBe(true);

  const other = await compare(...options.slice(2), "--positions", "alibi", "--learning-rate", "0.01", "--json");
  const anew = JSON.parse(other.out) as Comparison;
  expect(anew.runs.every(({ outcome }) => "result" in outcome && !outcome.reused)).toBe(true);
});

it("goes on after a kill, and the result is that of an undisturbed run", async () => {
  const options = [
    "--positions",
    "alibi",
    "--steps",
    "400",
    "--checkpoint-every",
    "20",
    "--eval-every",
    "50",
    "--multiples",
    "1,2",
  ];
  const child = spawn(process.execPath, [program, "compare", ...tiny, "--out", "out", ...options], {
    cwd: home,
    stdio: "ignore",
  });
  const checkpoints = () => {
    const out = join(home, "out");
    const run = existsSync(out) ? readdirSync(out).find((name) => name.startsWith("gpt-alibi")) : undefined;
    const at = run === undefined ? undefined : join(out, run, "checkpoints");
    return at !== undefined && existsSync(at) ? readdirSync(at).filter((name) => name.startsWith("step-")) : [];
  };
  while (checkpoints().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.on("close", resolve));
  expect(existsSync(join(home, "out", "results.json"))).toBe(false);

  const resumed = await compare(...options, "--json");
  expect(resumed.code).toBe(0);
  const [run] = (JSON.parse(resumed.out) as Comparison).runs;
  const fresh = await runCli(["compare", ...tiny, "--out", "fresh", ...options, "--json"], { cwd: home });
  const [undisturbed] = (JSON.parse(fresh.out) as Comparison).runs;
  if (!("result" in run!.outcome) || !("result" in undisturbed!.outcome)) throw new Error("a run failed");
  expect(run!.outcome.result.metrics).toEqual(undisturbed!.outcome.result.metrics);
  expect(run!.outcome.result.trainCurve).toEqual(undisturbed!.outcome.result.trainCurve);
});

it("ends with 130 at Ctrl-C, after a checkpoint", async () => {
  const options = [
    "--positions",
    "alibi",
    "--steps",
    "100000",
    "--eval-every",
    "100000",
    "--checkpoint-every",
    "100000",
  ];
  const child = spawn(process.execPath, [program, "compare", ...tiny, "--out", "out", ...options], {
    cwd: home,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const steps = new Promise<void>((resolve) => {
    child.stderr.on("data", (text) => {
      log += String(text);
      if (log.includes("step 1/")) resolve();
    });
  });
  await steps;
  child.kill("SIGINT");
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(130);
  expect(log).toContain("the same command goes on from here");
  const run = readdirSync(join(home, "out")).find((name) => name.startsWith("gpt-alibi"))!;
  expect(readdirSync(join(home, "out", run, "checkpoints")).length).toBe(1);
});

it("reports a run that fails and goes on with the others", async () => {
  // So high a rate that the loss is no number soon.
  const options = [
    "--positions",
    "alibi",
    "--models",
    "gpt,llama",
    "--steps",
    "30",
    "--learning-rate",
    "1e30",
    "--clip",
    "0",
    "--multiples",
    "1",
  ];
  const { code, log } = await compare(...options);
  expect(code).toBe(1);
  expect(log).toContain("2 of 2 runs failed");
  expect(results().runs).toHaveLength(2);
  expect(readFileSync(join(home, "out", "report.html"), "utf8")).toContain("No run finished.");
});

it("says so in the cell when the data are too short for a length", async () => {
  writeFileSync(join(home, "short.txt"), "the quick brown fox jumps over the lazy dog. ".repeat(20));
  const { code, out } = await runCli(
    [
      "compare",
      "--task",
      "text",
      "--data",
      "short.txt",
      "--positions",
      "alibi",
      "--length",
      "16",
      "--layers",
      "1",
      "--model-width",
      "16",
      "--heads",
      "2",
      "--steps",
      "4",
      "--out",
      "out",
    ],
    { cwd: home },
  );
  expect(code).toBe(0);
  expect(out).toMatch(/128: .*needs 129 tokens/);
});

it("varies any setting, reads the text once and says what it measured", async () => {
  writeFileSync(join(home, "text.txt"), "the quick brown fox jumps over the lazy dog. ".repeat(60));
  const sizes = ["--length", "16", "--layers", "1", "--model-width", "16", "--heads", "2", "--steps", "2"];
  const text = ["--task", "text", "--data", "text.txt", ...sizes, "--multiples", "1,2", "--out", "out"];
  const { code, out, log } = await runCli(["compare", ...text, "--vary", "mixer=linear,linformer"], { cwd: home });
  expect(code).toBe(2);
  expect(log).toContain("linformer: is bidirectional only, not causal");
  expect(existsSync(join(home, "out"))).toBe(false);
  expect(out).toBe("");

  const varied = ["compare", ...text, "--vary", "mixer=linear,performer", "--vary", "mixer.features=4,8"];
  const made = await runCli(varied, { cwd: home });
  expect(made.log).not.toContain("failed");
  const { runs } = results();
  expect(runs.map(({ variant }) => variant)).toEqual([
    "linear",
    "performer · mixer.features=4",
    "performer · mixer.features=8",
  ]);
  // Learned positions end with the training length.
  expect(made.out).toContain("32: beyond the 16 positions that this model has learned");

  // What processes of runs have of the text.
  const [token] = readdirSync(join(home, "out")).filter((name) => name.endsWith(".tokens"));
  expect(token).toBeDefined();
  writeFileSync(join(home, "variants.json"), JSON.stringify([{}, { learningRat: 0.1 }]));
  const listed = await runCli(["compare", ...text, "--variants", "variants.json"], { cwd: home });
  expect(listed.code).toBe(2);
  expect(listed.log).toContain('variants.json and flags, variant 2: unknown setting "learningRat"');
});
