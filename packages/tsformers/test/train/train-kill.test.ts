import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readMetrics } from "../../src/train/metrics.ts";

// Inside the package, so that the built program finds its dependencies.
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;

beforeAll(async () => {
  mkdirSync(join(packageRoot, "node_modules"), { recursive: true });
  folder = mkdtempSync(join(packageRoot, "node_modules", ".train-kill-"));
  await build({
    config: false,
    entry: { trainer: fileURLToPath(new URL("train-to-the-end.ts", import.meta.url)) },
    outDir: folder,
    format: "esm",
    dts: false,
    clean: false,
    logLevel: "silent",
    external: [/^onnxruntime-/],
    noExternal: [/^@tsformers\//],
    inputOptions: { resolve: { conditionNames: ["source", "node", "import", "default"] } },
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

type Blow = { readonly afterSteps: number; readonly afterMs: number };

/** @returns the steps that it reported, and its result unless it was killed first */
async function life(
  directory: string,
  rows: string,
  blow?: Blow,
): Promise<{ steps: number[]; result: string | undefined }> {
  const program = join(folder, readdirSync(folder).find((name) => /^trainer\.m?js$/.test(name))!);
  const child = spawn(process.execPath, [program, directory, rows], { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  let timer: NodeJS.Timeout | undefined;
  child.stdout.on("data", (text: Buffer) => {
    printed += text;
    if (blow === undefined || printed.split("\n").length <= blow.afterSteps) return;
    timer ??= setTimeout(() => child.kill("SIGKILL"), blow.afterMs);
  });
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  // The blow may fall after the result.
  expect(signal ?? code).toBeOneOf(printed.includes("hash") ? [0, "SIGKILL"] : ["SIGKILL"]);
  const lines = printed.split("\n").filter((line) => line !== "");
  const steps = lines.filter((line) => /^\d+$/.test(line)).map(Number);
  return { steps, result: lines.find((line) => line.startsWith("{")) };
}

test.each([
  ["apart", "rows have nothing to do with each other"],
  ["segments", "rows go on, and what they remember is part of a checkpoint"],
])(
  "a run that is killed again and again at random moments ends with the same bytes: %s, %s",
  {
    timeout: 180_000,
  },
  async (rows) => {
    const [whole, killed] = [join(folder, `whole-${rows}`), join(folder, `killed-${rows}`)];
    const { result, steps } = await life(whole, rows);
    expect(steps).toHaveLength(40);

    const blows: Blow[] = [];
    const begins: number[] = [];
    for (let kill = 0; kill < 3; kill++) {
      blows.push({ afterSteps: 2 + Math.floor(Math.random() * 10), afterMs: Math.random() * 12 });
      begins.push((await life(killed, rows, blows.at(-1))).steps[0]!);
    }
    const last = await life(killed, rows);
    begins.push(last.steps[0] ?? 41);
    expect(last.result, `blows ${JSON.stringify(blows)}, lives began at ${begins}`).toBe(result);
    // Checkpoints come every 4 steps, and before evaluations: what was made before the last step that was told is not made again.
    begins.slice(1).forEach((begin, i) => {
      const saved = begins[i]! + blows[i]!.afterSteps - 2;
      expect(begin).toBeGreaterThanOrEqual(4 * Math.floor(saved / 4) + 1);
    });

    const finalTensors = (run: string) =>
      readFileSync(join(run, "checkpoints", "step-00000040", "tensors.safetensors"));
    expect(finalTensors(killed).equals(finalTensors(whole))).toBe(true);
    expect(finalTensors(whole).includes('"memories.')).toBe(rows === "segments");
    const losses = (run: string) =>
      readMetrics(join(run, "metrics.jsonl")).map(({ step, loss, gradientNorm, ...rest }) => [
        step,
        loss,
        gradientNorm,
        rest["valid/loss"],
      ]);
    expect(losses(killed)).toEqual(losses(whole));
  },
);
