import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStore } from "../../src/store/index.ts";
import { comparisonFixture } from "../compare/exports-fixture.ts";
import { temporaryFolder, writeComparison } from "./folders.ts";

// Inside the package, so that the built program finds its dependencies.
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
const runsOfOnce = 43;

describe("processes that write into one store", () => {
  let program: string;
  let built: string;
  beforeAll(async () => {
    mkdirSync(join(packageRoot, "node_modules"), { recursive: true });
    built = mkdtempSync(join(packageRoot, "node_modules", ".store-kill-"));
    await build({
      config: false,
      entry: { writer: fileURLToPath(new URL("add-forever.ts", import.meta.url)) },
      outDir: built,
      format: "esm",
      dts: false,
      clean: false,
      logLevel: "silent",
      noExternal: [/^@tsformers\//],
      external: ["node-sqlite3-wasm"],
      inputOptions: { resolve: { conditionNames: ["source", "node", "import", "default"] } },
    });
    program = join(built, readdirSync(built).find((name) => /^writer\.m?js$/.test(name))!);
  });
  afterAll(() => rmSync(built, { recursive: true }));

  /** Two at once, both killed when one has added twice and `delayMs` have passed. @returns how often each said it had added */
  async function killedWriters(folder: string, round: number, delayMs: number) {
    const writers = ["a", "b"].map((letter) => {
      const name = `${round}${letter}`;
      const child = spawn(process.execPath, [program, folder, name], { stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      child.stderr.on("data", (text) => (said += String(text)));
      return { name, child, added: 0, said: () => said };
    });
    for (const writer of writers) {
      writer.child.stdout.on("data", (text) => {
        writer.added = Number(String(text).trim().split("\n").at(-1));
        if (writer.added === 2)
          setTimeout(() => {
            for (const { child } of writers) child.kill("SIGKILL");
          }, delayMs);
      });
    }
    const ends = await Promise.all(writers.map(({ child }) => once(child, "close")));
    expect(writers.map(({ said }) => said())).toEqual(["", ""]);
    expect(ends.map(([, signal]) => signal)).toEqual(["SIGKILL", "SIGKILL"]);
    return writers;
  }

  it("lose nothing that they said they had added, leave a whole index whenever they are killed, and nothing is in the way of others", async () => {
    const folder = temporaryFolder();
    writeComparison(folder, "compare-read", comparisonFixture());
    const added = new Map<string, number>();
    for (let round = 0; round < 8; round++) {
      for (const writer of await killedWriters(folder, round, round * 3.7)) added.set(writer.name, writer.added);
      const notes: string[] = [];
      const store = await openStore(folder, { onNote: (text) => notes.push(text) });
      expect(notes).toEqual([]);
      expect(store.list({ match: { comparison: "compare-read" } })).toHaveLength(runsOfOnce);
      for (const [name, times] of added) {
        const found = store.list({ match: { comparison: `compare-${name}` } }).length / runsOfOnce;
        // The last one may have been added, and its process killed before it could say so; half an addition there is none.
        expect([times, times + 1], name).toContain(found);
      }
    }
    expect([...added.values()].reduce((sum, times) => sum + times)).toBeGreaterThan(16);
    // The next writer puts away what the killed ones left.
    await (await openStore(folder)).addCosts([]);
    expect(readdirSync(folder).filter((name) => name.startsWith(".runs.sqlite"))).toEqual([]);
  });
});
