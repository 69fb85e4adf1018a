import { defineConfig, type UserConfig } from "tsdown";

/** Compiles the benches to bench/dist, file by file: Node 20 cannot run TypeScript. `npm run bench` does this first. */
const config: UserConfig = defineConfig({
  entry: ["run.ts", "browser-peer.ts", "ours/*.ts"],
  outDir: "dist",
  unbundle: true,
  deps: { neverBundle: [/^[^./]/] },
  platform: "node",
  dts: false,
  outExtensions: () => ({ js: ".js" }),
  logLevel: "warn",
});

export default config;
