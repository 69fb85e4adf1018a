import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";

const work = mkdtempSync(join(tmpdir(), "tsformers-telemetry-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const home = mkdtempSync(join(work, "home-"));
/** A user who has set nothing: ONNX Runtime also keeps quiet in what it takes for continuous integration. */
const environment = {
  HOME: home,
  USERPROFILE: home,
  ...Object.fromEntries(
    [
      "ORT_DISABLE_TELEMETRY",
      "XDG_CACHE_HOME",
      "XDG_CONFIG_HOME",
      "XDG_DATA_HOME",
      "CI",
      "GITHUB_ACTIONS",
      "TF_BUILD",
    ].map((name) => [name, undefined]),
  ),
};
const size = "--layers 1 --model-width 16 --heads 2 --length 16 --batch-size 4 --steps 3 --eval-tokens 64".split(" ");

const tsformers = async (...args: readonly string[]): Promise<void> => {
  const { code, log } = await runCli(args, { cwd: work, environment });
  expect(code, log).toBe(0);
};

beforeAll(() => tsformers("train", "run", ...size));

test.each([
  ["train", ["train", "other", ...size]],
  ["generate", ["generate", "run", "--prompt", "the", "--max-tokens", "4"]],
  ["eval", ["eval", "run", "--lengths", "16"]],
  [
    "compare, whose runs are processes of their own",
    ["compare", "--positions", "alibi", "--test-tokens", "64", ...size],
  ],
])("no file appears in a fresh home: %s", async (_, args) => {
  await tsformers(...args);
  expect(readdirSync(home, { recursive: true })).toEqual([]);
});
