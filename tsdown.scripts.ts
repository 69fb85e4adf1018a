import type { UserConfig } from "tsdown";

/** Compiles scripts that are run where they are, file by file into dist: Node 20 cannot run TypeScript. */
export const scripts: UserConfig = {
  outDir: "dist",
  unbundle: true,
  deps: { neverBundle: [/^[^./]/] },
  platform: "node",
  dts: false,
  outExtensions: () => ({ js: ".js" }),
  logLevel: "warn",
};
