import { defineConfig, type UserConfig } from "tsdown";
import { scripts } from "../tsdown.scripts.ts";

/** Compiles the benches to bench/dist. `npm run bench` does this first. */
const config: UserConfig[] = defineConfig([
  {
    ...scripts,
    entry: ["run.ts", "browser-child.ts", "ours/*.ts", "!ours/browser-page.ts"],
  },
  {
    // What runs in a page is one file, save for ONNX Runtime.
    ...scripts,
    name: "page",
    entry: ["ours/browser-page.ts"],
    outDir: "dist/page",
    unbundle: false,
    deps: { neverBundle: [/^onnxruntime-/], alwaysBundle: [/^(?!onnxruntime-)/], onlyBundle: false },
    platform: "browser",
    clean: false,
  },
]);

export default config;
