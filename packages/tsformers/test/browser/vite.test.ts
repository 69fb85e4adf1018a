import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, createLogger } from "vite";
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

/** Builds a page with Vite. @returns where it lies, and what Vite warned of */
async function site(folder: string): Promise<{ folder: string; warnings: readonly string[] }> {
  const outDir = mkdtempSync(join(work, "site-"));
  const warnings: string[] = [];
  // How long plugins take is this machine's affair.
  const warn = (text: string) => void (text.includes("PLUGIN_TIMINGS") || warnings.push(text));
  const customLogger = { ...createLogger("silent"), warn, warnOnce: warn };
  await build({
    root: folder,
    logLevel: "warn",
    customLogger,
    build: { outDir, emptyOutDir: true, chunkSizeWarningLimit: 1000 },
  });
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
