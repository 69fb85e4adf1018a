import { defineConfig, type UserConfig } from "tsdown";

/** Compiles the benches to bench/dist, file by file: Node 20 cannot run TypeScript. `npm run bench` does this first. */
const config: UserConfig[] = defineConfig([
  {
    entry: ["run.ts", "browser-child.ts", "ours/*.ts", "!ours/browser-page.ts"],
    outDir: "dist",
    unbundle: true,
    deps: { neverBundle: [/^[^./]/] },
    platform: "node",
    dts: false,
    outExtensions: () => ({ js: ".js" }),
    logLevel: "warn",
  },
  {
    // What runs in a page is one file, save for ONNX Runtime.
    name: "page",
    entry: ["ours/browser-page.ts"],
    outDir: "dist/page",
    deps: { neverBundle: [/^onnxruntime-/], alwaysBundle: [/^(?!onnxruntime-)/], onlyBundle: false },
    platform: "browser",
    dts: false,
    clean: false,
    outExtensions: () => ({ js: ".js" }),
    logLevel: "warn",
  },
]);

export default config;
