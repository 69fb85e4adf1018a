#!/usr/bin/env node
// Here, not in dist, so that a checkout's `npm ci` links the command before anything is built.
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";

const main = new URL("../dist/command/cli.js", import.meta.url);
if (existsSync(main)) {
  // From Node 22.1 on: what was compiled once is kept in the folder for temporary files.
  nodeModule.enableCompileCache?.();
  await import(main.href);
} else {
  console.error("tsformers: not built yet; run `npm run build` in the repository first");
  process.exitCode = 1;
}
