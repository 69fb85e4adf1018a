import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

const words = (text: string) => text.split(" ");
const sizes = words("--length 8 --layers 1 --model-width 16 --heads 2 --batch-size 4");
const tiny = [...words("--task copy --test-tokens 64"), ...sizes];
const compare = (...more: string[]) => runCli(["compare", ...tiny, "--out", "out", ...more], { cwd: home });
const folders = (beginning: string) => readdirSync(join(home, "out")).filter((name) => name.startsWith(beginning));
const resultsIn = (folder: string) =>
  JSON.parse(readFileSync(join(home, "out", folder, "results.json"), "utf8")) as Comparison;
const parsed = ({ out }: { readonly out: string }) => JSON.parse(out) as Comparison;
const outcomes = ({ runs }: Comparison) =>
  runs.map(({ outcome }) => {
    if (!("result" in outcome)) throw new Error(`a run failed: ${outcome.failure}`);
    return outcome;
  });

it("compares, writes its files, and takes finished runs as they are, also for another comparison", async () => {
  const options = words("--positions sinusoidal,alibi --steps 12 --eval-every 4 --multiples 1,2");
  const first = await compare(...options, "--seeds", "2");
  expect(first.log).not.toContain("failed");
  expect(first.code).toBe(0);
  const [folder] = folders("compare-copy");
  const made = resultsIn(folder!);
  expect(made.complete).toBe(true);
  expect(made.runs.map(({ variant, seed }) => [variant, seed])).toEqual([
    ["sinusoidal", 0],
    ["alibi", 0],
    ["sinusoidal", 1],
    ["alibi", 1],
  ]);
  for (const { result, reused } of outcomes(made)) {
    expect(result.byLength.map(({ length }) => length)).toEqual([8, 16]);
    expect(result.validCurve.map(({ step }) => step)).toEqual([4, 8, 12]);
    expect(result.metrics.loss).toBeGreaterThan(0.5);
    expect(result.peakBytes).toBeGreaterThan(20e6);
    expect(result.trainTokensPerSecond).toBeGreaterThan(0);
    expect(result.evalTokensPerSecond).toBeGreaterThan(0);
    expect([result.steps, result.tokens]).toEqual([12, 12 * 4 * 8]);
    expect(reused).toBe(false);
  }
  expect(made.costs.map(({ variant, steps }) => [variant, steps.map(({ length }) => length)])).toEqual([
    ["sinusoidal", [8, 16]],
    ["alibi", [8, 16]],
  ]);
  for (const step of made.costs.flatMap(({ steps }) => steps)) {
    expect(step).toMatchObject({ tokensPerSecond: expect.any(Number), flopsPerToken: expect.any(Number) });
  }
  // Ten symbols and a separator, half of the row is copied: nothing is learned in 12 steps.
  expect(made.tasks[0]).toMatchObject({ label: "copy", ranking: "tokenAccuracy", trainLength: 8, lengths: [8, 16] });
  expect(made.tasks[0]!.baselines[0]!.metrics.loss).toBeCloseTo(Math.log(10), 1);
  expect(made.cells.map(({ unequal, causal }) => [unequal, causal])).toEqual([
    [[], true],
    [[], true],
  ]);
  expect(made.cells[0]!.stateBytes).toEqual([
    { length: 8, bytes: 2 * 8 * 16 * 4 },
    { length: 16, bytes: 2 * 16 * 16 * 4 },
  ]);
  const report = readFileSync(join(home, "out", folder!, "report.html"), "utf8");
  expect(report).toContain("sinusoidal");

  const again = await compare(...options, "--seeds", "2", "--json");
  expect(outcomes(parsed(again)).every(({ reused }) => reused)).toBe(true);
  expect(folders("compare-copy")).toEqual([folder]);

  // Other lengths of a finished run are only evaluated, and other comparisons have folders of their own.
  const longer = await compare(
    ...words("--positions alibi --steps 12 --eval-every 4 --multiples 1,4 --json --seeds 2"),
  );
  const [found, old] = [outcomes(parsed(longer)), outcomes(made)];
  expect(found.map(({ result }) => result.trainCurve)).toEqual([old[1]!.result.trainCurve, old[3]!.result.trainCurve]);
  expect(found[0]!.result.byLength.map(({ length }) => length)).toEqual([8, 32]);
  const [own, further] = found[0]!.result.byLength.map((cell) => ("metrics" in cell ? cell.scored : undefined));
  expect(found[0]!.result.scored).toEqual(own);
  for (const scored of [own!, further!]) expect(scored.rows).toBeGreaterThan(0);
  // Of a row of 8 tokens 4 are copied, of one of 32 tokens 16.
  expect(own!.tokens / own!.rows).toBe(4);
  expect(further!.tokens / further!.rows).toBe(16);
  // Alone it is called gpt · alibi, and is the same run.
  expect(longer.out).toContain('"gpt · alibi"');
  expect([folders("copy-alibi").length, folders("copy-gpt-alibi").length]).toEqual([2, 0]);
  expect(folders("compare-copy")).toHaveLength(2);
  expect(resultsIn(folder!)).toEqual({ ...made, ...lastTouched(resultsIn(folder!)) });

  // The settings that a result carries ask for the same again.
  const settings = join("out", folder!, "settings.json");
  const repeated = parsed(await runCli(["compare", "--config", settings, "--out", "out", "--json"], { cwd: home }));
  expect(repeated.runs.map(({ directory }) => directory)).toEqual(made.runs.map(({ directory }) => directory));
});

/** What a second call with the same settings writes anew. */
const lastTouched = ({ startedAt, finishedAt, command, runs, environment }: Comparison) => ({
  startedAt,
  finishedAt,
  command,
  runs,
  environment,
});

it("goes on after a kill, and the result is that of an undisturbed run", async () => {
  const options = words(
    "--positions alibi --steps 400 --checkpoint-every 20 --eval-every 50 --multiples 1,2 --seeds 1",
  );
  const child = spawn(process.execPath, [program, "compare", ...tiny, "--out", "out", ...options], {
    cwd: home,
    stdio: "ignore",
  });
  const checkpoints = () => {
    const out = join(home, "out");
    const run = existsSync(out) ? readdirSync(out).find((name) => name.startsWith("copy-gpt-alibi")) : undefined;
    const at = run === undefined ? undefined : join(out, run, "checkpoints");
    return at !== undefined && existsSync(at) ? readdirSync(at).filter((name) => name.startsWith("step-")) : [];
  };
  while (checkpoints().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.on("close", resolve));

  const resumed = await compare(...options, "--json");
  expect(resumed.code).toBe(0);
  const [run] = outcomes(parsed(resumed));
  const fresh = await runCli(["compare", ...tiny, "--out", "fresh", ...options, "--json"], { cwd: home });
  const [undisturbed] = outcomes(parsed(fresh));
  expect(run!.result.metrics).toEqual(undisturbed!.result.metrics);
  expect(run!.result.trainCurve).toEqual(undisturbed!.result.trainCurve);
});

it("ends with 130 at Ctrl-C, after a checkpoint", async () => {
  const options = words("--positions alibi --steps 100000 --eval-every 100000 --checkpoint-every 100000 --seeds 1");
  const child = spawn(process.execPath, [program, "compare", ...tiny, "--out", "out", ...options], {
    cwd: home,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const checked = new Promise<void>((resolve) => {
    child.stderr.on("data", (text) => {
      log += String(text);
      if (/step \d+\//.test(log)) resolve();
    });
  });
  await checked;
  child.kill("SIGINT");
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(130);
  expect(log).toContain("the same command goes on from here");
  const [run] = folders("copy-gpt-alibi");
  expect(readdirSync(join(home, "out", run!, "checkpoints")).length).toBe(1);
});

it("lets two comparisons work in one folder at the same time", async () => {
  const options = words("--steps 30 --multiples 1 --seeds 1 --json");
  const [one, two] = await Promise.all([
    compare(...options, "--positions", "alibi,rotary"),
    compare(...options, "--positions", "rotary,alibi,t5"),
  ]);
  const metrics = (result: typeof one) =>
    Object.fromEntries(
      parsed(result).runs.map(({ variant }, i) => [variant, outcomes(parsed(result))[i]!.result.metrics]),
    );
  expect(metrics(two)).toMatchObject(metrics(one));
  expect(folders("copy-rotary")).toHaveLength(1);
});

it("makes everything once where the same comparison is called twice at the same time", async () => {
  const options = words("--mixers softmax,linear --steps 10 --multiples 1 --seeds 1 --json");
  const [one, two] = (await Promise.all([compare(...options), compare(...options)])).map(parsed);
  expect(outcomes(two!).map(({ result }) => result)).toEqual(outcomes(one!).map(({ result }) => result));
  expect(two!.costs).toEqual(one!.costs);
});

it("mends a run whose files were damaged, and does not make up what was lost with them", async () => {
  const options = words("--mixers softmax --steps 4 --multiples 1 --seeds 1");
  const made = outcomes(parsed(await compare(...options, "--json")))[0]!.result;
  const run = (name: string) => join(home, "out", folders("copy-gpt-softmax")[0]!, name);
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  const remains = [run(`.metrics.jsonl.${pid}-0123abcd.tmp`), run(`.metrics.jsonl.${process.pid}-0123abcd.tmp`)];
  for (const path of ["config.json", "task.json", "result.json"]) writeFileSync(run(path), "");
  for (const path of remains) writeFileSync(path, "");
  const mended = outcomes(parsed(await compare(...options, "--json")))[0]!.result;
  const { evalTokensPerSecond: _, finishedAt: __, peakBytes, ...kept } = made;
  expect(peakBytes).toBeGreaterThan(20e6);
  expect(mended).toMatchObject(kept);
  // Of a process that has only evaluated.
  expect(mended).not.toHaveProperty("peakBytes");
  expect(remains.map((path) => existsSync(path))).toEqual([false, true]);

  writeFileSync(run("metrics.jsonl"), "");
  rmSync(run("result.json"));
  const lost = outcomes(parsed(await compare(...options, "--json")))[0]!.result;
  expect(lost.metrics).toEqual(made.metrics);
  for (const name of ["trainTokensPerSecond", "seconds"]) expect(lost).not.toHaveProperty(name);
  const { runs } = JSON.parse((await runCli(["runs", "out", "--json"], { cwd: home })).out);
  expect(runs).toMatchObject([{ trainTokensPerSecond: null, peakBytes: null, seconds: null }]);

  writeFileSync(run("metrics.jsonl"), '{"step":1}\nnonsense\n');
  rmSync(run("result.json"));
  const { code, log } = await compare(...options);
  expect(code).toBe(1);
  expect(log).toMatch(/metrics\.jsonl:2: expected .* got "nonsense"; remove this line to go on without it/);
});

it("reports a run that fails and goes on with the others", async () => {
  // So high a rate that the loss is no number soon.
  const { code, log } = await compare(
    ...words("--models gpt,llama --steps 30 --learning-rate 1e30 --clip 0 --multiples 1 --seeds 1"),
  );
  expect(code).toBe(1);
  expect(log).toContain("2 of 2 runs failed");
  const { runs, complete } = resultsIn(folders("compare-copy")[0]!);
  expect([runs.length, complete]).toEqual([2, true]);
  for (const { outcome } of runs)
    expect(outcome).toMatchObject({ failure: expect.stringMatching(/the loss is (NaN|-?Infinity)|not finite/) });
});

it("crosses tasks with variants, two processes at a time", async () => {
  const options = words(
    "--tasks majority,copy --mixers softmax,linear --steps 6 --multiples 1 --seeds 1 --jobs 2 --json",
  );
  const made = parsed(
    await runCli(["compare", ...sizes, "--test-tokens", "32", "--out", "out", ...options], { cwd: home }),
  );
  expect(made.runs.map(({ task, variant }) => [task, variant])).toEqual([
    ["majority", "softmax"],
    ["majority", "linear"],
    ["copy", "softmax"],
    ["copy", "linear"],
  ]);
  expect(made.tasks.map(({ objective, ranking }) => [objective, ranking])).toEqual([
    ["class", "accuracy"],
    ["next", "tokenAccuracy"],
  ]);
  expect(made.tasks[0]!.baselines[0]!.name).toBe("most frequent class");
});

it("trains on the task's own inputs first, whatever the model sees", async () => {
  const options = words("--task majority --models gpt,bert --steps 6 --seeds 1 --self-pretrain --json");
  const made = parsed(
    await runCli(["compare", ...sizes, "--test-tokens", "32", "--out", "out", ...options], { cwd: home }),
  );
  expect(made.runs.map(({ variant, pretrained }) => [variant, pretrained])).toEqual([
    ["gpt", false],
    ["bert", false],
    ["gpt", true],
    ["bert", true],
  ]);
  const [plain, , pretrained] = outcomes(made);
  expect(pretrained!.result.trainCurve).not.toEqual(plain!.result.trainCurve);
  const refused = await compare(...words("--positions alibi --self-pretrain"));
  expect(refused.code).toBe(2);
  expect(refused.log).toContain("pre-training on a task's own inputs is for tasks with classes");
});

it("searches on the validation split, and goes on with the best", async () => {
  const options = words("--mixers softmax --steps 18 --seeds 1 --multiples 1 --json");
  const search = words("--search learning-rate=1e-6,1e-2,1e-5 --search-method asha --search-trials 3");
  const made = parsed(await compare(...options, ...search));
  expect(made.trials).toHaveLength(3);
  const chosen = made.trials.filter((trial) => trial.chosen);
  expect(chosen.map(({ settings }) => settings)).toEqual([{ "learning-rate": "1e-2" }]);
  expect(chosen[0]!.rungs.map(({ step }) => step)).toEqual([2, 6, 18]);
  expect(made.runs[0]!.config.learningRate).toBe(1e-2);
  const again = await compare(...options, ...search);
  expect(parsed(again).trials).toEqual(made.trials);
});

it("gives each as much as a budget pays for", async () => {
  const options = words("--mixers softmax --seeds 1 --multiples 1 --json");
  const stepsOf = async (...budget: string[]) =>
    outcomes(parsed(await compare(...options, ...budget)))[0]!.result.steps;
  expect(await stepsOf("--budget-tokens", "330")).toBe(11);
  const { cells } = resultsIn(folders("compare-copy")[0]!);
  const flopsPerStep = cells[0]!.flopsPerToken * 32;
  expect(await stepsOf("--budget-flops", String(7 * flopsPerStep))).toBe(7);
  expect(await stepsOf("--budget-seconds", "0.2")).toBeGreaterThan(1);
  const both = await compare(...options, "--budget-tokens", "330", "--steps", "3");
  expect(both.log + both.out).toContain("--budget-tokens and --steps say how long to train; give one of them");
});

it("says so in the cell when the data are too short for a length", async () => {
  writeFileSync(join(home, "short.txt"), "the quick brown fox jumps over the lazy dog. ".repeat(20));
  const text = words("--task text --data short.txt --positions alibi --length 16 --steps 4 --seeds 1 --out out");
  const { code, out } = await runCli(["compare", ...sizes.slice(2), ...text], { cwd: home });
  expect(code).toBe(0);
  expect(out.replace(/\s+/g, " ")).toMatch(/128.*needs 129 tokens/);
});

it("varies any setting, reads the text once and says what it measured", async () => {
  writeFileSync(join(home, "text.txt"), "the quick brown fox jumps over the lazy dog. ".repeat(60));
  const text = words("--task text --data text.txt --length 16 --steps 2 --multiples 1,2 --seeds 1 --out out");
  const { code, out, log } = await runCli(["compare", ...sizes.slice(2), ...text, "--vary", "mixer=linear,linformer"], {
    cwd: home,
  });
  expect(code).toBe(2);
  expect(log).toContain("linformer: is bidirectional only, not causal");
  expect(existsSync(join(home, "out"))).toBe(false);
  expect(out).toBe("");

  const varied = words("--vary mixer=linear,performer --vary mixer.features=4,8");
  const made = await runCli(["compare", ...sizes.slice(2), ...text, ...varied], { cwd: home });
  expect(made.log).not.toContain("failed");
  expect(resultsIn(folders("compare-text")[0]!).variants).toEqual([
    "linear",
    "performer · mixer.features=4",
    "performer · mixer.features=8",
  ]);
  // Learned positions end with the training length.
  expect(made.out.replace(/\s+/g, " ")).toContain("beyond the 16 positions that this model has learned");

  // What processes of runs have of the text.
  const [token] = readdirSync(join(home, "out")).filter((name) => name.endsWith(".tokens"));
  expect(token).toBeDefined();
  writeFileSync(join(home, "variants.json"), JSON.stringify([{}, { learningRat: 0.1 }]));
  const listed = await runCli(["compare", ...sizes.slice(2), ...text, "--variants", "variants.json"], { cwd: home });
  expect(listed.code).toBe(2);
  expect(listed.log).toContain('variants.json and flags, variant 2: unknown setting "learningRat"');
});

it("measures steps alone", async () => {
  const options = [
    "compare",
    "--task",
    "copy",
    ...sizes,
    ...words("--measure-only --mixers softmax,linear --lengths 8,32"),
  ];
  const made = parsed(await runCli([...options, "--json"], { cwd: home }));
  expect(made.runs).toEqual([]);
  expect(made.costs.map(({ steps }) => steps.map(({ length }) => length))).toEqual([
    [8, 32],
    [8, 32],
  ]);
  expect((await runCli(options, { cwd: home })).log).not.toMatch(/chance|--measure-only/);
});

it("tells what it has found where a folder of a run, or the report, cannot be written", async () => {
  const options = words("--mixers softmax,linear --steps 2 --multiples 1 --seeds 1");
  const first = await compare(...options);
  expect(first.code).toBe(0);
  const out = (folder: string, ...names: string[]) => join(home, "out", folder, ...names);
  const [report] = folders("compare-copy").map((folder) => out(folder, "report.html"));
  rmSync(report!);
  mkdirSync(report!);
  const unwritten = await compare(...options);
  expect(unwritten.code).toBe(1);
  expect(unwritten.log).toMatch(/error: not all could be written: .*report\.html: is a folder, expected a file/);
  expect(unwritten.out).toContain("softmax");
  expect(unwritten.out).not.toContain("report.html");
  const { error, runs } = JSON.parse((await compare(...options, "--json")).out);
  expect([error.kind, runs.length]).toEqual(["failed", 2]);

  rmSync(report!, { recursive: true });
  const [run] = folders("copy-softmax");
  rmSync(out(run!), { recursive: true });
  writeFileSync(out(run!), "");
  const { code, log } = await compare(...options);
  expect(code).toBe(1);
  expect(log).toContain("1 of 2 runs failed");
  expect(log).toContain(`${run}: expected a folder, this is a file`);
  expect(resultsIn(folders("compare-copy")[0]!).runs.map(({ outcome }) => "failure" in outcome)).toEqual([true, false]);
});
