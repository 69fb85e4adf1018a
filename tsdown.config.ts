import { readFileSync } from "node:fs";
import { defineConfig, type UserConfig } from "tsdown";

/** File by file: a bundler then drops whole files that nothing uses, also those whose code it could not judge by itself. */
const shared: UserConfig = {
  root: "src",
  unbundle: true,
  dts: true,
  clean: true,
  logLevel: "warn",
  // For Node it would write helpers that import modules of Node, into files for browsers, too.
  platform: "neutral",
};

/** The sources of what a package exports. */
function exportsOf(folder: string): string[] {
  const { exports } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as {
    readonly exports: Readonly<Record<string, { readonly source: string }>>;
  };
  return Object.values(exports).map(({ source }) => source);
}

const config: UserConfig[] = defineConfig([
  {
    ...shared,
    cwd: "packages/engine",
    entry: [...exportsOf("packages/engine"), "src/runtime/node-worker.ts"],
    deps: { neverBundle: [/^onnxruntime-/, /^node:/] },
  },
  {
    ...shared,
    cwd: "packages/tsformers",
    entry: [
      ...exportsOf("packages/tsformers"),
      "src/compare/execution/child.ts",
      "src/io/files.ts",
      "src/io/no-files.ts",
    ],
    deps: { neverBundle: [/^#/, /^@tsformers\/engine/, /^onnxruntime-/, /^node:/] },
  },
  {
    // The command line: few files, since Node takes longer to open and link 600 small ones than to run them.
    name: "command",
    cwd: "packages/tsformers",
    entry: { cli: "src/cli.ts", child: "src/compare/execution/child.ts", tell: "src/cli/tell.ts" },
    outDir: "dist/command",
    platform: "neutral",
    dts: false,
    clean: true,
    logLevel: "warn",
    // zod is 95 files, half of them languages that nobody asks for.
    deps: {
      neverBundle: [/^@tsformers\/engine/, /^onnxruntime-/, /^node:/],
      alwaysBundle: ["zod"],
      onlyBundle: ["zod"],
    },
    // `#files` is bundled too: two copies of a class of errors would not know each other.
    inputOptions: { resolve: { conditionNames: ["source", "node", "import", "default"] } },
  },
  {
    // The program inside the HTML report of a comparison: one file with everything in it.
    name: "report",
    cwd: "packages/tsformers",
    entry: { client: "src/compare/report/client/main.ts" },
    outDir: "dist/compare/report",
    format: "iife",
    platform: "browser",
    target: "es2022",
    minify: true,
    dts: false,
    clean: true,
    logLevel: "warn",
    define: { "process.env.NODE_ENV": '"production"' },
    deps: { alwaysBundle: [/./], onlyBundle: false },
    // ECharts' licence asks for its notice in every copy.
    outputOptions: { banner: `/*!\n${readFileSync("packages/tsformers/NOTICE", "utf8").replaceAll("*/", "* /")}*/` },
  },
]);

export default config;
