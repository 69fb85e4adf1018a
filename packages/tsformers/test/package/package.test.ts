import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** What each package's README promises that its snippet prints. */
const prints = {
  engine: /^14 \[ 2, 4, 6 \]$/,
  // Guessing costs ln(vocabulary) ≈ 3.8 nats, knowing how often each letter comes about 2.9.
  tsformers: /^loss, nats per character: [12]\.\d+\n(?=.)/,
};

describe.each(["engine", "tsformers"] as const)("packages/%s", (name) => {
  const folder = join(root, "packages", name);
  const text = (file: string) => readFileSync(join(folder, file), "utf8");
  const { version, exports } = JSON.parse(text("package.json")) as {
    readonly version: string;
    readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  let packed: readonly string[] = [];
  beforeAll(async () => {
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], folder);
    const [{ files }] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
    packed = files.map(({ path }) => path);
  });

  test("npm packs what describes it, its program and its types", () => {
    const described = ["README.md", "LICENSE", "CHANGELOG.md", "package.json"];
    const entries = Object.values(exports).flatMap((entry) => Object.values(entry).map((path) => path.slice(2)));
    expect(packed).toEqual(expect.arrayContaining([...described, ...entries]));
  });

  test("npm packs no tests", () => {
    expect(packed.filter((path) => /(^|\/)(test|fixtures)\/|\.test\./.test(path))).toEqual([]);
  });

  test("the licence is the repository's, the changelog begins with this version", () => {
    expect(text("LICENSE")).toBe(readFileSync(join(root, "LICENSE"), "utf8"));
    expect(/^## \[(.*?)\]/m.exec(text("CHANGELOG.md"))?.[1]).toBe(version);
  });

  test("publint finds nothing", async () => {
    const { messages } = await publint({ pkgDir: folder, strict: true });
    expect(messages).toEqual([]);
  });

  test("the snippet of its README runs", async () => {
    const [, snippet] = /^```js\n(.*?)^```$/ms.exec(text("README.md"))!;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", snippet!], root);
    expect(stdout.trim()).toMatch(prints[name]);
  });
});

test("a project that looks up types as Node does finds those of every entry, without an error in any", async () => {
  const project = mkdtempSync(join(tmpdir(), "tsformers-types-"));
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  const entries = ["engine", "tsformers"].flatMap((folder) => {
    const manifest = readFileSync(join(root, "packages", folder, "package.json"), "utf8");
    const { name, exports } = JSON.parse(manifest) as { readonly name: string; readonly exports: object };
    return Object.keys(exports).map((subpath) => `${name}${subpath.slice(1)}`);
  });
  const lines = entries.map((entry, i) => `import * as entry${i} from "${entry}";\nvoid entry${i};`);
  writeFileSync(join(project, "main.ts"), lines.join("\n"));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2023",
    types: [],
    // The compiler's own declarations need no check; those of the packages do.
    skipDefaultLibCheck: true,
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const { stdout } = await run(process.execPath, [compiler, "-p", project], root).catch((error) => error);
  rmSync(project, { recursive: true });
  expect(stdout).toBe("");
}, 180_000);

const run = (program: string, args: readonly string[], cwd: string) => promisify(execFile)(program, args, { cwd });
