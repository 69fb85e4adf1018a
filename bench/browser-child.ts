/**
 * Child process that measures in a browser: serves the pages on localhost, cross-origin isolated so that wasm may use
 * threads, opens one in headless Chromium and prints the JSON line that it returns.
 *
 * `node browser-child.js WORKLOAD SIDE` where SIDE is `ours` or a folder of bench/peers, with a `page.html` that sets `window.train`.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { distFolder, peersFolder, repositoryFolder } from "./locations.ts";
import { chromiumPath } from "./sides.ts";
import { readWorkload, syntheticBatch } from "./workload.ts";

const contentTypes: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** The folder of a path's first part; everything else lies in bench/peers. */
const folders: Readonly<Record<string, string>> = {
  ours: join(repositoryFolder, "bench", "ours"),
  dist: distFolder,
  ort: dirname(fileURLToPath(import.meta.resolve("onnxruntime-web"))),
};

function fileOf(path: string): string {
  const [, first = "", ...rest] = path.split("/");
  const folder = folders[first];
  return folder === undefined ? join(peersFolder, path) : join(folder, ...rest);
}

async function servePages(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    try {
      const body = await readFile(fileOf(path));
      response.writeHead(200, {
        "Content-Type": contentTypes[extname(path)] ?? "application/octet-stream",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
      });
      response.end(body);
    } catch {
      response.writeHead(404).end(`not found: ${path}`);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function main(): Promise<void> {
  const workload = readWorkload();
  const side = process.argv[3];
  if (side === undefined) throw new Error("expected `ours` or a folder in bench/peers as second argument, got none");

  const server = await servePages();
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
  try {
    const page = await browser.newPage();
    page.on("console", (message) => console.error(`${side}: ${message.text()}`));
    page.on("pageerror", (error) => console.error(`${side}: ${error.message}`));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${side}/page.html`);
    await page.waitForFunction("window.train !== undefined");
    const { tokens, targets } = syntheticBatch(workload);
    const call = JSON.stringify([workload, Array.from(tokens), Array.from(targets)]);
    const result = await page.evaluate(
      `(([w, tokens, targets]) => window.train(w, Int32Array.from(tokens), Int32Array.from(targets)))(${call})`,
    );
    console.log(JSON.stringify(result));
  } finally {
    await browser.close();
    server.close();
  }
}

await main();
