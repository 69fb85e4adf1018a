import { readdirSync } from "node:fs";
import { defineConfig, type UserConfig } from "tsdown";
import { scripts } from "../tsdown.scripts.ts";

/** Compiles the examples of systems to examples/dist. `npm run examples` does this first. */
const config: UserConfig = defineConfig({
  ...scripts,
  entry: ["run.ts", ...readdirSync(new URL("systems", import.meta.url)).map((file) => `systems/${file}`)],
});

export default config;
