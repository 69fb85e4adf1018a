import { existsSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "tsdown";
import { type Bench, compareRow } from "./bench.ts";
import { repositoryFolder } from "./locations.ts";

/** Size of the engine's entry as a page would load it: bundled with its dependencies, minified, without ONNX Runtime. */
export const size: Bench = {
  name: "size",
  about: "the engine's entry, bundled and gzipped, without ONNX Runtime",
  run: async () => {
    const entry = join(repositoryFolder, "packages", "engine", "dist", "index.js");
    const bytes = existsSync(entry) ? await bundledBytes(entry) : null;
    if (bytes === null) console.error("skipped size: packages/engine/dist/index.js is not built (npm run build)");
    const row = (metric: string, value: number | null) =>
      compareRow("size engine", metric, "kB", "lower", value === null ? null : value / 1000, null, null);
    return [row("gzipped (target 60)", bytes?.gzipped ?? null), row("minified", bytes?.minified ?? null)];
  },
};

/** All chunks count, those loaded lazily too. */
async function bundledBytes(entry: string): Promise<{ minified: number; gzipped: number }> {
  const bundles = await build({
    config: false,
    entry,
    write: false,
    minify: true,
    dts: false,
    platform: "browser",
    logLevel: "silent",
    deps: { alwaysBundle: [/.*/], neverBundle: [/^onnxruntime-/, /^node:/] },
  });
  const chunks = bundles.flatMap((bundle) => bundle.chunks).filter((chunk) => chunk.type === "chunk");
  const code = chunks.map((chunk) => chunk.code);
  return {
    minified: code.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    gzipped: code.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0),
  };
}
