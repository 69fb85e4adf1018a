import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { program } from "./run-cli.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-signals-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Ended = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly log: string;
};

/** Runs the program; `act` is called with all that it has said, each time that it says more. */
function run(args: readonly string[], act: (child: ChildProcess, log: string) => void): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  let [out, log] = ["", ""];
  child.stdout.on("data", (text) => (out += String(text)));
  child.stderr.on("data", (text) => {
    log += String(text);
    act(child, log);
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out, log })));
}

/** Calls `act` once, when `words` were said. */
function once(words: string, act: (child: ChildProcess) => void): (child: ChildProcess, log: string) => void {
  let done = false;
  return (child, log) => {
    if (done || !log.includes(words)) return;
    done = true;
    act(child);
  };
}

const small = ["--task", "copy", "--length", "16", "--layers", "1", "--model-width", "16", "--heads", "2"];
const endless = ["--steps", "100000", "--eval-every", "100000", "--checkpoint-every", "100000"];
const checkpoints = (name: string) => readdirSync(join(home, name, "checkpoints"));

describe("train", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("saves at %s and ends with 130", async (signal) => {
    const ended = await run(
      ["train", signal, ...small, ...endless, "--json"],
      once("step 1/", (child) => child.kill(signal)),
    );
    expect(ended).toMatchObject({ code: 130, log: expect.stringContaining("stopping after this step") });
    const { step, error } = JSON.parse(ended.out) as { step: number; error: object };
    expect(error).toMatchObject({ kind: "interrupted", exitCode: 130 });
    expect(checkpoints(signal)).toEqual([`step-${String(step).padStart(8, "0")}`]);
  });

  it("ends at the second Ctrl-C in the middle of a step; the checkpoint before is whole", async () => {
    const large = ["--task", "copy", "--length", "256", "--layers", "2", "--model-width", "384", "--heads", "4"];
    const options = ["--steps", "100", "--eval-every", "100", "--checkpoint-every", "1"];
    const saved = join(home, "twice", "checkpoints", "step-00000001");
    const first = once("step 1/", (child) => {
      const watch = setInterval(() => {
        if (!existsSync(saved)) return;
        clearInterval(watch);
        child.kill("SIGINT");
      }, 20);
    });
    const second = once("stopping after this step", (child) => child.kill("SIGINT"));
    const ended = await run(["train", "twice", ...large, ...options], (child, log) => {
      first(child, log);
      second(child, log);
    });
    // By the signal itself, which shells show as 130.
    expect(ended).toMatchObject({ code: null, signal: "SIGINT" });
    expect(checkpoints("twice").filter((name) => name.startsWith("step-"))).toEqual(["step-00000001"]);
  });

  it("ends at the first Ctrl-C before there is anything to save", async () => {
    const deep = ["--task", "copy", "--length", "16", "--layers", "24", "--model-width", "16", "--heads", "2"];
    const ended = await run(
      ["train", "early", ...deep, ...endless],
      once("parameters", (child) => child.kill("SIGINT")),
    );
    expect(ended).toMatchObject({ code: null, signal: "SIGINT" });
    expect(ended.log).not.toContain("stopping");
  });

  it("goes on when nobody reads what it prints any more", async () => {
    const options = ["--steps", "30", "--eval-every", "1", "--checkpoint-every", "1000", "--eval-tokens", "16"];
    const child = spawn(process.execPath, [program, "train", "unread", ...small, ...options], {
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.destroy();
    child.stderr.once("data", () => child.stderr.destroy());
    expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(0);
    expect(checkpoints("unread")).toContain("step-00000030");
  });
});

it("eval ends at the first Ctrl-C", async () => {
  await run(["train", "measured", ...small, "--steps", "1"], () => {});
  const child = spawn(process.execPath, [program, "eval", "measured", "--limit", "1000000000"], { cwd: home });
  const timer = setTimeout(() => child.kill("SIGINT"), 3000);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...how) => resolve(how)),
  );
  clearTimeout(timer);
  expect(signal === "SIGINT" || code === 130).toBe(true);
});
