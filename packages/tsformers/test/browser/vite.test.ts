import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, createLogger, type InlineConfig, type Rolldown } from "vite";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type OpenPage, openSite } from "../../../engine/test/browser/chromium.ts";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const manifest = readFileSync(join(root, "packages", "engine", "package.json"), "utf8");
const runtimeVersion: string = JSON.parse(manifest).peerDependencies["onnxruntime-web"];
const work = mkdtempSync(join(tmpdir(), "tsformers-vite-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));
// As on the command line: in a test Vite says nothing of modules of Node.
vi.stubEnv("NODE_ENV", "production");
let open: OpenPage | undefined;
afterEach(() => open?.close());

/** Builds with Vite. @returns the chunks of code, and what Vite warned of: modules of Node in a page, among others */
async function built(config: InlineConfig): Promise<{ chunks: Rolldown.OutputChunk[]; warnings: readonly string[] }> {
  const warnings: string[] = [];
  // How long plugins take is this machine's affair.
  const warn = (text: string) => void (text.includes("PLUGIN_TIMINGS") || warnings.push(text));
  const customLogger = { ...createLogger("silent"), warn, warnOnce: warn };
  const result = await build({ logLevel: "warn", customLogger, configFile: false, ...config });
  const outputs = [result].flat() as readonly Rolldown.RolldownOutput[];
  return { chunks: outputs.flatMap(({ output }) => output).filter((file) => file.type === "chunk"), warnings };
}

/** Builds a page. @returns where it lies, and what Vite warned of */
async function site(folder: string): Promise<{ folder: string; warnings: readonly string[] }> {
  const outDir = mkdtempSync(join(work, "site-"));
  const configFile = existsSync(join(folder, "vite.config.ts")) && join(folder, "vite.config.ts");
  const options = { outDir, emptyOutDir: true, chunkSizeWarningLimit: 1000 };
  const { warnings } = await built({ root: folder, configFile, build: options });
  return { folder: outDir, warnings };
}

test("the example trains in a page as narrow as a telephone, built by Vite without a warning", async () => {
  const { folder, warnings } = await site(join(root, "examples", "browser"));
  expect(warnings).toEqual([]);
  open = await openSite(folder, { width: 390, height: 844 });
  const { page } = open;
  await page.fill("[name=steps]", "40");
  await page.click("button");
  await page.waitForFunction("document.querySelector('button').disabled");
  await page.waitForFunction("!document.querySelector('button').disabled", undefined, { timeout: 120_000 });
  expect(await page.textContent("#status")).toMatch(/^step 40 of 40 · loss \d\.\d+ · \d+ tokens\/s$/);
  const heights = await page.evaluate<number[]>("Array.from(document.querySelector('polyline').points, ({ y }) => y)");
  expect(heights).toHaveLength(40);
  // Guessing costs ln(vocabulary) ≈ 3.8 nats, drawn at a height of 5; the lower edge, 100, is none.
  expect(heights.at(-1)).toBeGreaterThan(25);
  expect((await page.textContent("#written"))!.length).toBeGreaterThan(20);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
});

describe("a page in a project without onnxruntime-web", () => {
  const project = join(work, "project");
  const engine = join(project, "node_modules", "@tsformers", "engine");
  beforeAll(() => {
    for (const part of ["package.json", "dist"]) {
      cpSync(join(root, "packages", "engine", part), join(engine, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules", "protobufjs"), join(project, "node_modules", "protobufjs"));
    writeFileSync(
      join(project, "index.html"),
      '<link rel="icon" href="data:," /><script type="module" src="./main.js"></script>',
    );
  });

  test.each([
    [
      "computes with the definitions when it opens none",
      `import { interpret, matmul, ndarray, traceBody } from "@tsformers/engine";
       const [a, b] = [ndarray([[1, 2]]), ndarray([[3], [4]])];
       const { program } = traceBody([a, b], ([a, b]) => matmul(a, b));
       document.title = interpret(program, [a, b])[0].toNumbers();`,
      /^11$/,
    ],
    [
      "is told what to install when it opens one",
      `import { openWasm } from "@tsformers/engine/web";
       openWasm().catch(({ message }) => (document.title = message));`,
      new RegExp(`^the devices of the browser run on ONNX Runtime, .*npm install onnxruntime-web@${runtimeVersion}$`),
    ],
  ])("%s", async (_, source, title) => {
    writeFileSync(join(project, "main.js"), source);
    const { folder, warnings } = await site(project);
    expect(warnings).toEqual([]);
    open = await openSite(folder);
    await open.page.waitForFunction("document.title !== ''");
    expect(await open.page.title()).toMatch(title);
  });
});

/** Subpaths that read and write files or start processes. */
const nodeOnly = ["./store", "./compare", "./io", "./node", "./verify", "./retrieval"];

describe("a page takes what it uses", () => {
  const project = join(work, "sizes");
  beforeAll(() => {
    mkdirSync(project);
    symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  });

  /** What a script of these lines loads: bytes gzipped, without ONNX Runtime, and the packages that are not ours. */
  async function loaded(source: string): Promise<{ bytes: number; packages: string[]; warnings: readonly string[] }> {
    const input = join(project, "main.js");
    writeFileSync(input, source);
    const rolldownOptions = { input, external: [/^onnxruntime-/] };
    const { chunks, warnings } = await built({ root: project, build: { write: false, rolldownOptions } });
    const parts = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
    const first = new Set<string>();
    const follow = (name: string): void => {
      const chunk = first.has(name) ? undefined : parts.get(name);
      first.add(name);
      for (const next of chunk?.imports ?? []) follow(next);
    };
    follow(chunks.find(({ isEntry }) => isEntry)!.fileName);
    const now = [...first].flatMap((name) => parts.get(name) ?? []);
    const foreign = now
      .flatMap(({ modules }) => Object.keys(modules))
      .map((path) => /.*\/node_modules\/((@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
    return {
      bytes: now.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0),
      packages: [...new Set(foreign.filter((name) => name !== undefined))],
      warnings,
    };
  }

  // Bounds are some third above what was measured when they were set: 0.02, 5.7, 16, 25, 35 and 57 kB.
  test.each([
    ["nothing", `import "@tsformers/engine"; import "tsformers";`, 1_000, []],
    ["matmul", `import { matmul } from "@tsformers/engine"; console.log(matmul);`, 8_000, []],
    [
      "a mixer and a pattern",
      `import { linearAttention } from "tsformers/mixers"; import { slidingWindow } from "tsformers/patterns"; console.log(linearAttention, slidingWindow);`,
      21_000,
      [],
    ],
    ["gpt", `import { gpt } from "tsformers"; console.log(gpt);`, 35_000, []],
    ["gpt and train", `import { gpt, train } from "tsformers"; console.log(gpt, train);`, 46_000, []],
    [
      "gpt, train and a device",
      `import { openDevice } from "@tsformers/engine/web"; import { gpt, train } from "tsformers"; console.log(gpt, openDevice, train);`,
      72_000,
      ["long", "protobufjs"],
    ],
  ] as const)("%s", async (name, source, most, packages) => {
    const found = await loaded(source);
    console.log(`${name}: ${(found.bytes / 1000).toFixed(2)} kB gzipped, at most ${most / 1000} kB`);
    expect(found.warnings).toEqual([]);
    expect(found.packages.toSorted()).toEqual(packages);
    expect(found.bytes).toBeLessThan(most);
  });

  test("every subpath works in a page, except those for Node only", async () => {
    const manifest = readFileSync(join(root, "packages", "tsformers", "package.json"), "utf8");
    const subpaths = Object.keys(JSON.parse(manifest).exports as object).filter((path) => !nodeOnly.includes(path));
    const names = subpaths.map((path) => `tsformers${path.slice(1)}`);
    const lines = names.map((name, i) => `import * as all${i} from "${name}"; console.log(all${i});`);
    const { packages, warnings } = await loaded(lines.join("\n"));
    // This page has everything at once; it has no use for parts that load later.
    expect(warnings.filter((text) => !text.includes("INEFFECTIVE_DYNAMIC_IMPORT"))).toEqual([]);
    expect(packages).toEqual(["zod"]);
  });
});
