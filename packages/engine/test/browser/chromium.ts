import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright-core";
import { build } from "tsdown";

const executablePath = "/usr/bin/chromium";

/** SwiftShader stands in for the GPU; nothing goes out to the network. */
const flags = [
  "--headless=new",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
];

export type OpenPage = { readonly page: Page; readonly close: () => Promise<void> };

/**
 * Opens a page in headless Chromium that runs one TypeScript module, bundled from the sources, with onnxruntime-web as
 * the package delivers it.
 *
 * @throws Error when Chromium is not installed, or the module fails while it loads
 */
export async function openPage(module: URL): Promise<OpenPage> {
  const folder = await mkdtemp(join(tmpdir(), "tsformers-page-"));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    await bundle(fileURLToPath(module), folder);
    await writeFile(join(folder, "index.html"), html);
    const { page, close } = await openSite(folder);
    await page.waitForFunction("globalThis.ready === true", undefined, { timeout: 20_000 });
    return { page, close: () => close().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

/**
 * Serves a folder and opens its index.html in headless Chromium. The page is cross-origin isolated, so that WebAssembly has
 * threads. What the page reports as errors is printed.
 *
 * @throws Error when Chromium is not installed
 */
export async function openSite(folder: string, viewport?: { width: number; height: number }): Promise<OpenPage> {
  if (!existsSync(executablePath)) {
    throw new Error(`the browser test needs Chromium at ${executablePath}: apt-get install chromium`);
  }
  const server = await serve(folder);
  const browser = await chromium.launch({ executablePath, args: flags });
  const page = await browser.newPage(viewport && { viewport });
  page.on("pageerror", (error) => console.error(`page: ${error}`));
  page.on("console", (message) => message.type() === "error" && console.error(`page: ${message.text()}`));
  await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
  const close = async () => {
    await browser.close();
    server.close();
  };
  return { page, close };
}

async function bundle(entry: string, outDir: string): Promise<void> {
  await build({
    config: false,
    entry: { page: entry },
    outDir,
    dts: false,
    platform: "browser",
    logLevel: "error",
    deps: { neverBundle: [/^onnxruntime-/], alwaysBundle: [/^(?!onnxruntime-)/], onlyBundle: false },
    inputOptions: { resolve: { conditionNames: ["source", "import", "browser", "default"] } },
  });
}

const html = `<!doctype html>
<link rel="icon" href="data:," />
<script type="importmap">{ "imports": {
  "onnxruntime-web/wasm": "/ort/ort.wasm.bundle.min.mjs",
  "onnxruntime-web/webgpu": "/ort/ort.webgpu.bundle.min.mjs"
} }</script>
<script type="module">
  import "/page.js";
  globalThis.ready = true;
</script>`;

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

async function serve(folder: string): Promise<Server> {
  const runtime = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
  const server = createServer(async ({ url = "/" }, response) => {
    const name = new URL(url, "http://localhost").pathname.slice(1) || "index.html";
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.setHeader("Content-Type", types[extname(name)] ?? "application/octet-stream");
    const file = name.startsWith("ort/") ? join(runtime, name.slice(4)) : join(folder, name);
    try {
      response.end(await readFile(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return server;
}
