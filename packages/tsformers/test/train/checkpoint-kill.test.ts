import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { full } from "@tsformers/engine";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { checkpointStore } from "../../src/train/checkpoint.ts";

// Inside the package, so that the built program finds its dependencies.
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

describe("a process that saves in a loop and is killed", () => {
  let folder: string;
  beforeAll(async () => {
    mkdirSync(join(packageRoot, "node_modules"), { recursive: true });
    folder = mkdtempSync(join(packageRoot, "node_modules", ".checkpoint-kill-"));
    await build({
      config: false,
      entry: { saver: fileURLToPath(new URL("save-forever.ts", import.meta.url)) },
      outDir: folder,
      format: "esm",
      dts: false,
      clean: false,
      logLevel: "silent",
      noExternal: [/^@tsformers\//],
      inputOptions: { resolve: { conditionNames: ["source", "node", "import", "default"] } },
    });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("leaves the last checkpoint that it reported, or the one it was about to report, whole; and goes on from there", async () => {
    const directory = join(folder, "run");
    let reported = 0;
    for (let kill = 0; kill < 12; kill++) {
      const before = reported;
      const saver = spawn(process.execPath, [programIn(folder), directory], { stdio: ["ignore", "pipe", "inherit"] });
      saver.stdout.on("data", (text: Buffer) => {
        reported = Math.max(reported, ...text.toString().trim().split("\n").map(Number));
        // The next save is under way by then; each time the blow falls a little later in it.
        if (reported > before + 1) setTimeout(() => saver.kill("SIGKILL"), kill * 0.7);
      });
      const [, signal] = await once(saver, "close");
      expect(signal).toBe("SIGKILL");

      const { checkpoint, problems } = await checkpointStore(directory).latest();
      expect(problems).toEqual([]);
      expect(checkpoint!.step).toBeGreaterThanOrEqual(reported);
      expect(checkpoint!.step).toBeLessThanOrEqual(reported + 1);
      expect(checkpoint!.state).toEqual({ step: checkpoint!.step });
      expect(checkpoint!.tensors.get("w")).toEqual(full([100_000], checkpoint!.step));
    }
    expect(reported).toBeGreaterThanOrEqual(24);
    await checkpointStore(directory, { keep: 2 }).save({ step: reported + 2, tensors: new Map(), state: null });
    expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(readdirSync(directory)).toHaveLength(2);
  });
});

function programIn(folder: string): string {
  return join(folder, readdirSync(folder).find((name) => /^saver\.m?js$/.test(name))!);
}
