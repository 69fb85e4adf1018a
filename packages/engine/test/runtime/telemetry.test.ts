import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";

const home = mkdtempSync(join(tmpdir(), "tsformers-home-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Runs a module with the built packages, as a user who has set nothing. @returns what it prints */
async function program(source: string): Promise<string> {
  const { ORT_DISABLE_TELEMETRY, XDG_CACHE_HOME, CI, GITHUB_ACTIONS, TF_BUILD, ...rest } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
    env: { ...rest, HOME: home, USERPROFILE: home },
  });
  return stdout.trim();
}

const use = (options: string): string => `
  import { evaluate, exp, ndarray } from "@tsformers/engine";
  import { openCpu } from "@tsformers/engine/node";
  const device = await openCpu(${options});
  console.log((await evaluate(exp, device, ndarray([0]))).item());
  await device.close();`;

/** A device that is opened by a worker thread of the user's own. */
const useInThread = (before: string): string => `
  import { Worker } from "node:worker_threads";
  import { disableTelemetry } from "@tsformers/engine/node";
  ${before}
  const code = 'import("@tsformers/engine/node").then(({ openCpu }) => openCpu()).then(({ name }) => console.log(name))';
  new Worker(code, { eval: true, execArgv: [] }).on("error", ({ message }) => console.log(message));`;

test.each([
  ["the main thread", use("")],
  ["a device in a worker", use("{ worker: true }")],
])("ONNX Runtime writes nothing into a fresh home: %s", async (_, source) => {
  expect(await program(source)).toBe("1");
  expect(readdirSync(home, { recursive: true })).toEqual([]);
});

test("a worker thread that cannot switch it off says who can", async () => {
  expect(await program(useInThread(""))).toMatch(
    /^a worker thread cannot .* call disableTelemetry\(\) .* or start Node with/,
  );
  expect(await program(useInThread("disableTelemetry();"))).toBe("cpu");
});
