import { defineConfig, type UserConfig } from "tsdown";

const config: UserConfig[] = defineConfig([
  {
    cwd: "packages/engine",
    entry: {
      index: "src/index.ts",
      node: "src/runtime/node.ts",
      "node-worker": "src/runtime/node-worker.ts",
      web: "src/runtime/web.ts",
    },
    dts: true,
    platform: "neutral",
    deps: { neverBundle: [/^onnxruntime-/, /^node:/] },
    clean: true,
    logLevel: "warn",
  },
  {
    cwd: "packages/tsformers",
    entry: {
      index: "src/index.ts",
      node: "src/node.ts",
      cli: "src/cli.ts",
      "compare-child": "src/compare/child.ts",
      files: "src/io/files.ts",
      "no-files": "src/io/no-files.ts",
    },
    dts: true,
    platform: "node",
    fixedExtension: false,
    deps: { neverBundle: [/^#/, /^@tsformers\/engine/, /^onnxruntime-/] },
    clean: true,
    logLevel: "warn",
  },
]);

export default config;
