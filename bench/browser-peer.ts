/**
 * Child process that runs a browser peer: serves bench/peers on localhost, cross-origin isolated so that wasm may use
 * threads, opens its page in headless Chromium and prints the JSON line that the page returns.
 *
 * `node browser-peer.js WORKLOAD PEER` where PEER is a folder of bench/peers with a `page.html` that sets `window.train`.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { peersFolder } from "./locations.ts";
import { chromiumPath } from "./sides.ts";
import { readWorkload, syntheticBatch } from "./workload.ts";

const contentTypes: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

async function servePeers(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    try {
      const body = await readFile(join(peersFolder, path));
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
  const peer = process.argv[3];
  if (peer === undefined) throw new Error("expected the name of a folder in bench/peers as second argument, got none");

  const server = await servePeers();
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
    page.on("console", (message) => console.error(`${peer}: ${message.text()}`));
    page.on("pageerror", (error) => console.error(`${peer}: ${error.message}`));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${peer}/page.html`);
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
