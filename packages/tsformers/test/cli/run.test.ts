import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { program, runCli } from "./run-cli.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-run-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const cli = (...args: string[]) => runCli(args, { cwd: home });
const sizes = ["--length", "16", "--layers", "1", "--model-width", "16", "--heads", "2", "--batch-size", "4"];

it("trains, says when it is finished, evaluates, writes and exports", async () => {
  const trained = await cli(
    "train",
    "run",
    "--task",
    "text",
    "--position",
    "rotary",
    "--steps",
    "8",
    "--eval-every",
    "4",
    ...sizes,
    "--json",
  );
  expect(trained.log).not.toContain("error");
  expect(JSON.parse(trained.out)).toMatchObject({ directory: "run", ended: "finished", step: 8 });
  expect(JSON.parse(readFileSync(join(home, "run", "config.json"), "utf8"))).toMatchObject({
    task: { kind: "text" },
    model: { kind: "gpt", position: { kind: "rotary", base: 10_000 } },
    length: 16,
    steps: 8,
  });
  for (const name of ["checkpoints", "metrics.jsonl", "tensorboard"])
    expect(existsSync(join(home, "run", name))).toBe(true);

  const again = await cli("train", "run");
  expect(again.code).toBe(0);
  expect(again.out).toContain("run was already finished: 8 steps");

  const other = await cli("train", "run", "--seed", "9");
  expect(other.code).toBe(2);
  expect(other.log).toContain("seed: 0 then, 9 now");
  const more = await cli("train", "run", "--steps", "9");
  expect(more.log).toContain("9 steps instead of 8");
  expect(more.out).toContain("run is finished: 9 steps");

  const evaluated = await cli("eval", "run", "--lengths", "16,64,100000", "--limit", "512", "--json");
  const { results } = JSON.parse(evaluated.out) as {
    results: { length: number; loss?: number; missing?: string; totals?: { tokens: number } }[];
  };
  expect(results.map(({ totals }) => totals?.tokens)).toEqual([512, 512, undefined]);
  expect(results[2]!.missing).toContain("needs 100001 tokens");

  const options = ["--prompt", "Ada ", "--max-tokens", "12", "--json"];
  const [first, same, different] = await Promise.all([
    cli("generate", "run", ...options, "--seed", "1"),
    cli("generate", "run", ...options, "--seed", "1"),
    cli("generate", "run", ...options, "--seed", "2"),
  ]);
  const text = (made: { out: string }) => (JSON.parse(made.out) as { text: string }).text;
  expect(text(first!)).toHaveLength(12);
  expect(text(same!)).toBe(text(first!));
  expect(text(different!)).not.toBe(text(first!));

  const exported = await cli("export", "run", "--format", "onnx", "--json");
  expect(JSON.parse(exported.out)).toMatchObject({ path: join("run", "model.onnx"), layout: "onnx", step: 9 });
});

it("checkpoints at Ctrl-C, ends with 130 and goes on from there", async () => {
  const args = [
    "train",
    "long",
    "--task",
    "copy",
    "--steps",
    "300",
    "--eval-every",
    "300",
    "--checkpoint-every",
    "300",
    ...sizes,
  ];
  const child = spawn(process.execPath, [program, ...args], { cwd: home, stdio: ["ignore", "ignore", "pipe"] });
  await new Promise<void>((resolve) =>
    child.stderr.on("data", (text) => String(text).includes("step 1/") && resolve()),
  );
  child.kill("SIGINT");
  expect(await new Promise((resolve) => child.on("close", resolve))).toBe(130);
  const [checkpoint] = readdirSync(join(home, "long", "checkpoints"));
  const step = Number(checkpoint!.replace("step-", ""));
  expect(step).toBeGreaterThan(0);
  expect(step).toBeLessThan(300);
  const resumed = await cli("train", "long");
  expect(resumed.code).toBe(0);
  expect(resumed.log).toContain(`going on after step ${step}`);
  expect(resumed.out).toContain("long is finished: 300 steps");
});

it("copies with an encoder-decoder and answers in numbers", async () => {
  const trained = await cli("train", "pairs", "--task", "copy", "--model", "transformer", "--steps", "4", ...sizes);
  expect(trained.code).toBe(0);
  const made = await cli("generate", "pairs", "--prompt-tokens", "1,2,3", "--max-tokens", "3", "--json");
  const { tokens } = JSON.parse(made.out) as { tokens: number[] };
  expect(tokens).toHaveLength(3);
  const wrong = await cli("train", "never", "--task", "recall", "--model", "transformer", "--steps", "4");
  expect(wrong.code).toBe(2);
  expect(wrong.log).toContain("task recall has nothing for transformer");
});
