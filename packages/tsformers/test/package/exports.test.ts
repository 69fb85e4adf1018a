import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

type Manifest = { readonly exports: Readonly<Record<string, { readonly source: string }>> };

/** What each subpath of a package exports: names, and what they stand for. */
type Surface = Readonly<Record<string, ReadonlyMap<string, ts.Symbol>>>;

/** The surfaces of several packages, read by one compiler so that equal symbols are equal. */
function surfacesOf(folders: readonly string[]): Surface[] {
  const text = ts.sys.readFile(join(root, "tsconfig.json"))!;
  const { config } = ts.parseConfigFileTextToJson("tsconfig.json", text);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const packages = folders.map((folder) => {
    const manifest = readFileSync(join(root, "packages", folder, "package.json"), "utf8");
    const { exports } = JSON.parse(manifest) as Manifest;
    return Object.entries(exports).map(
      ([subpath, { source }]) => [subpath, join(root, "packages", folder, source)] as const,
    );
  });
  const program = ts.createProgram(
    packages.flat().map(([, file]) => file),
    options,
  );
  const checker = program.getTypeChecker();
  const meant = (symbol: ts.Symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const exported = (file: string) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    return new Map(checker.getExportsOfModule(module).map((symbol) => [symbol.name, meant(symbol)]));
  };
  return packages.map((entries) =>
    Object.fromEntries(entries.map(([subpath, file]) => [subpath, exported(file)] as const)),
  );
}

const [engine, tsformers] = surfacesOf(["engine", "tsformers"]) as [Surface, Surface];

test("every subpath exports what exports.txt lists, no more and no less", async () => {
  const lines = Object.entries(tsformers).flatMap(([subpath, names]) => {
    const listed = (isValue: boolean) =>
      [...names]
        .filter(([, { flags }]) => ((flags & ts.SymbolFlags.Value) !== 0) === isValue)
        .map(([name]) => name)
        .toSorted();
    return [
      `tsformers${subpath.slice(1)}`,
      ...listed(true).map((name) => `  ${name}`),
      ...listed(false).map((name) => `  type ${name}`),
    ];
  });
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("./exports.txt");
});

test("no name means one thing here and another in the engine", () => {
  const theirs = new Map(Object.values(engine).flatMap((names) => [...names]));
  const twice = Object.entries(tsformers).flatMap(([subpath, names]) =>
    [...names]
      .filter(([name, symbol]) => theirs.has(name) && theirs.get(name) !== symbol)
      .map(([name]) => `${name} of ${subpath}`),
  );
  expect(twice).toEqual([]);
});
