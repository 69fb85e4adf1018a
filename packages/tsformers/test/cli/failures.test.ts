import { spawn, spawnSync } from "node:child_process";
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kindOf, main } from "../../src/cli/main.ts";
import { fileError } from "../../src/io/file-error.ts";
import { program, runCli } from "./run-cli.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/gpt2", import.meta.url));
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-failures-"));
  writeFileSync(join(home, "file"), "");
  writeFileSync(join(home, "seeds.json"), JSON.stringify([{ steps: 3 }, { seed: 3 }]));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A command in this process, which starts faster than the built program. Folders of `home` are written `home:name`. */
async function call(args: readonly string[]): Promise<{ code: number; out: string; log: string }> {
  let [out, log] = ["", ""];
  const placed = args.map((arg) => arg.replace(/^home:/, `${home}/`));
  const code = await main(placed, {
    out: (text) => void (out += `${text}\n`),
    write: (text) => void (out += text),
    log: (text) => void (log += `${text}\n`),
    columns: 100,
    unicode: true,
    bold: (text) => text,
    dim: (text) => text,
  });
  return { code, out, log };
}

/** Wrong calls of every command: a flag that is none, a folder that is not there, a file in place of a folder. */
const wrong: readonly (readonly string[])[] = [
  ["nonsense"],
  ["list", "--nonsense"],
  ["list", "nonsense"],
  ["describe", "gpt", "--nonsense"],
  ["describe", "nonsense"],
  ["train", "--nonsense"],
  ["train", "home:file"],
  ["eval", "home:absent", "--nonsense"],
  ["eval", "home:absent"],
  ["eval", "home:file"],
  ["eval", "home:."],
  ["generate", "home:absent", "--nonsense"],
  ["generate", "home:absent"],
  ["generate", "home:file"],
  ["compare", "--nonsense"],
  ["compare", "--out", "home:file"],
  ["compare", "--vary", "keep=1,2"],
  ["compare", "--variants", "home:seeds.json"],
  ["compare", "--out", "home:file/x"],
  ["compare", "--out", ""],
  ["compare", "--config", ""],
  ["compare", "--task", "text", "--data", ""],
  ["train", ""],
  ["train", "home:file/x/y"],
  ["train", "home:new", "--from", ""],
  ["runs", ""],
  ["runs", "home:.", "--parquet", ""],
  ["advise", "--length", "64", "--store", ""],
  ["export", "home:absent", "--nonsense"],
  ["export", "home:absent"],
  ["export", "home:file"],
  ["export", "home:."],
  ["verify", "home:absent", "--nonsense"],
  ["verify", "home:absent"],
  ["verify", "home:file"],
];

describe("a wrong call ends with 2 and says why once", () => {
  it.each(wrong.map((args) => [args.join(" "), args] as const))("%s", async (_, args) => {
    const [plain, json] = [await call(args), await call([...args, "--json"])];
    expect(plain).toMatchObject({ code: 2, out: "" });
    expect(plain.log).toMatch(/^error: /);
    expect(plain.log).not.toMatch(/\?[.;,]|\.\.\s/);
    expect(json).toMatchObject({ code: 2, log: "" });
    const { error } = JSON.parse(json.out) as { error: { kind: string; message: string; exitCode: number } };
    expect(error).toMatchObject({ kind: "usage", exitCode: 2 });
    expect(plain.log.replaceAll("\n", " ")).toContain(error.message.replaceAll("\n", " "));
  });
});

const unsearchable = ["steps", "seed", "keys", "task", "length", "objective", "eval-tokens", "eval-every"];
it.each([...unsearchable, "checkpoint-every", "keep", "device", "micro-batches"])(
  "%s is not searched",
  async (name) => {
    const { code, log } = await call(["compare", "--task", "recall", "--mixers", "softmax", "--search", `${name}=1,2`]);
    expect(code).toBe(2);
    expect(log).toContain(`error: --search ${name}: `);
  },
);

describe("what does nothing is refused", () => {
  const refusal = async (...args: string[]) => {
    const { code, log } = await call(["compare", "--task", "recall", ...args]);
    return code === 2 ? log.trim() : `code ${code}`;
  };

  it("beside --measure-only", async () => {
    const flags = ["--seeds", "5", "--test-tokens", "4", "--budget-seconds", "3", "--learning-rate", "1e-3"];
    expect((await refusal("--measure-only", ...flags)).replaceAll("\n", " ")).toContain(
      "error: --seeds, --budget-seconds, --test-tokens and --learning-rate: --measure-only trains nothing; leave them away",
    );
    expect(await refusal("--measure-only", "--vary", "seed=1,2")).toContain(
      "error: --seed: --measure-only trains nothing",
    );
  });

  it("a value that is given twice", async () => {
    expect(await refusal("--mixers", "softmax,softmax")).toContain("error: --vary mixer: softmax is given twice");
  });
});

it.each([
  [["eval", "home:absent", "--lengths", "64,1e9"], "1,000,000"],
  [["compare", "--task", "recall", "--mixers", "softmax", "--test-tokens", "1e15"], "100,000,000"],
])("%s is more than there may be", async (args, most) => {
  const { code, log } = await call(args);
  expect(code).toBe(2);
  expect(log).toMatch(new RegExp(`xpected a whole number from 1 to ${most}`));
});

it("a budget of nothing is called by its flag, and a file's values need not be text", async () => {
  const budget = await call(["compare", "--task", "recall", "--mixers", "softmax", "--budget-flops", "0"]);
  expect(budget.log).toContain("--budget-flops: expected a number above 0, got 0");
  const file = join(home, "numbers.json");
  const withVary = async (vary: unknown) => {
    writeFileSync(file, JSON.stringify({ task: "recall", compare: { vary } }));
    return call(["compare", "--config", file]);
  };
  // Two numbers are read as what they are: seeds are not varied.
  expect((await withVary({ seed: [1, 2] })).log).toContain("--vary seed: all variants have the same seeds");
  const { log } = await withVary({ mixer: [null] });
  expect(log.replaceAll("\n", " ")).toContain("expected string or number or boolean, got null");
});

it("a text with a comma stands in brackets", async () => {
  const { log } = await call(["compare", "--task", "text", "--vary", "data=[home:absent,a.txt],home:file"]);
  expect(log).toMatch(/absent,a\.txt: no such file/);
  expect(log).not.toContain("[");
});

describe("a path that cannot be", () => {
  it.each([
    [["compare", "--out", ""], "--out: expected a path, got none"],
    [["runs", ""], "the folder: expected a path, got none"],
    [["compare", "--out", "home:file/x"], "/file: expected a folder, this is a file"],
    [["train", "home:file/x/y"], "/file: expected a folder, this is a file"],
    [["runs", "home:.", "--parquet", "home:."], "is a folder, expected a file"],
  ])("%j is told in words", async (args, words) => {
    expect((await call(args)).log).toContain(words);
  });
});

it("a disk that is full or cannot be written to is no wrong call", () => {
  const kindsOf = (code: string) => kindOf(fileError("runs/a.json", Object.assign(new Error("failed"), { code })));
  expect(["ENOSPC", "EROFS", "EDQUOT", "EIO"].map(kindsOf)).toEqual(["failed", "failed", "failed", "failed"]);
  expect(["ENOENT", "EISDIR", "EACCES"].map(kindsOf)).toEqual(["usage", "usage", "usage"]);
});

it("a value that looks like --json, behind --, is none", async () => {
  const { code, out } = await call(["describe", "--", "--json"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
});

describe("a model too large is refused before it is made", () => {
  const large = ["train", "large", "--task", "copy", "--model-width", "24576", "--layers", "128", "--json"];

  it("names the flags to lower", async () => {
    const { code, out } = await runCli(large, { cwd: home });
    expect(code).toBe(1);
    expect((JSON.parse(out) as { error: { message: string } }).error.message).toMatch(
      /more memory than is free, .* 927\.8G parameters .*; lower --model-width, --layers$/,
    );
  });

  it.runIf(process.platform === "linux")("the shell's limits count", async () => {
    const shell = `ulimit -v 3000000; exec "$0" "$@"`;
    const child = spawn("bash", ["-c", shell, process.execPath, program, ...large], { cwd: home });
    let out = "";
    child.stdout.on("data", (text) => (out += String(text)));
    await new Promise((resolve) => child.on("close", resolve));
    const { message } = (JSON.parse(out) as { error: { message: string } }).error;
    expect(Number(/than is free, ([\d.]+) GB/.exec(message)?.[1])).toBeLessThan(3);
  });
});

describe("verify tells apart", () => {
  const verify = async (...args: string[]) => {
    const { code, out } = await runCli(["verify", ...args, "--json"], { cwd: home });
    return { code, ...(JSON.parse(out) as { ok?: boolean; error?: { kind: string; message: string } }) };
  };

  it("what agrees, what is beyond tolerance and what cannot be verified", async () => {
    expect(await verify(golden)).toMatchObject({ code: 0, ok: true });
    const beyond = join(home, "beyond");
    cpSync(golden, beyond, { recursive: true });
    const meta = JSON.parse(readFileSync(join(golden, "meta.json"), "utf8")) as object;
    writeFileSync(join(beyond, "meta.json"), JSON.stringify({ ...meta, tolerance: { outputs: "abs 0 + rel 0" } }));
    expect(await verify(beyond)).toMatchObject({
      code: 3,
      ok: false,
      error: { kind: "beyond-tolerance", exitCode: 3 },
    });
    const unsupported = await verify(home);
    expect(unsupported).toMatchObject({ code: 4, error: { kind: "unsupported", exitCode: 4 } });
    expect(unsupported.error!.message).toContain(home);
  });
});

describe.runIf(existsSync("/dev/full"))("results that cannot be written", () => {
  it.each([["list"], ["compare", "--help"]])("end %j with code 1 and a line", (...args) => {
    const file = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
      stdio: ["ignore", file, "pipe"],
      encoding: "utf8",
    });
    closeSync(file);
    expect(status).toBe(1);
    expect(stderr.match(/error: .*/g)).toEqual(["error: standard output: no space is left on the disk"]);
  });
});
