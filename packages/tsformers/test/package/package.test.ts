import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
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

const run = (program: string, args: readonly string[], cwd: string) => promisify(execFile)(program, args, { cwd });
