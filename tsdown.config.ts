import { defineConfig, type UserConfig } from "tsdown";

/** File by file: a bundler then drops whole files that nothing uses, also those whose code it could not judge by itself. */
const shared: UserConfig = { root: "src", unbundle: true, dts: true, clean: true, logLevel: "warn" };

const config: UserConfig[] = defineConfig([
  {
    ...shared,
    cwd: "packages/engine",
    entry: ["src/index.ts", "src/runtime/node.ts", "src/runtime/node-worker.ts", "src/runtime/web.ts"],
    platform: "neutral",
    deps: { neverBundle: [/^onnxruntime-/, /^node:/] },
  },
  {
    ...shared,
    cwd: "packages/tsformers",
    entry: [
      "src/index.ts",
      "src/node.ts",
      "src/cli.ts",
      "src/compare/child.ts",
      "src/io/files.ts",
      "src/io/no-files.ts",
    ],
    platform: "node",
    fixedExtension: false,
    deps: { neverBundle: [/^#/, /^@tsformers\/engine/, /^onnxruntime-/] },
  },
]);

export default config;
