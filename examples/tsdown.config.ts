import { readdirSync } from "node:fs";
import { defineConfig, type UserConfig } from "tsdown";

/** Compiles the examples of systems to examples/dist, file by file: Node 20 cannot run TypeScript. `npm run examples` does this first. */
const config: UserConfig = defineConfig({
  entry: ["run.ts", ...readdirSync(new URL("systems", import.meta.url)).map((file) => `systems/${file}`)],
  outDir: "dist",
  unbundle: true,
  deps: { neverBundle: [/^[^./]/] },
  platform: "node",
  dts: false,
  outExtensions: () => ({ js: ".js" }),
  logLevel: "warn",
});

export default config;
