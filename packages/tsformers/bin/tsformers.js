#!/usr/bin/env node
// Here, not in dist, so that a checkout's `npm ci` links the command before anything is built.
import { existsSync } from "node:fs";

const main = new URL("../dist/cli.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error("tsformers: not built yet; run `npm run build` in the repository first");
  process.exitCode = 1;
}
