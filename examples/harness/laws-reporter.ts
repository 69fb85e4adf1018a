// Counts the laws that passed: `npm run laws` writes the counts, from which `npm run docs` makes what is proved of each system.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { systems } from "tsformers/catalogue";
import type { SystemEntry } from "tsformers/systems";
import type { Reporter, TestModule } from "vitest/node";
import { partsOf } from "./proofs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const file = fileURLToPath(new URL("../laws.json", import.meta.url));

/** Files of laws, which run for every member of a kind. */
const ofLaws = /laws\.test\.ts$|models\/(causality|vectors)\.test\.ts$|patterns\/(catalogue|executed)\.test\.ts$/;
const ofFixtures = /\/verify\/(mechanisms|verify)\.test\.ts$/;
const fixture = /^(\S+) agrees with its golden fixture$/;

/** What passed: how many laws ran for the parts of each system, and the fixtures that agree. */
export type Laws = {
  readonly laws: Readonly<Record<string, number>>;
  readonly fixtures: Readonly<Record<string, true>>;
};

/** Writes what passed. With LAWS=check it compares instead, and the run fails where `examples/laws.json` tells something else. */
export default class LawsReporter implements Reporter {
  onTestRunEnd(all: readonly TestModule[]): void {
    const modules = all.filter((module) => ofLaws.test(nameOf(module)) || ofFixtures.test(nameOf(module)));
    const found = `${JSON.stringify(count(modules), null, 2)}\n`;
    if (process.env.LAWS !== "check") {
      if (modules.some((module) => !module.ok())) return;
      writeFileSync(`${file}.new`, found);
      renameSync(`${file}.new`, file);
    } else if (found !== readFileSync(file, "utf8")) {
      console.error("examples/laws.json: expected what has passed now; `npm run laws` writes it");
      process.exitCode = 1;
    }
  }
}

function count(modules: readonly TestModule[]): Laws {
  const titles: string[] = [];
  const fixtures: string[] = [];
  for (const module of modules) {
    const isOfLaws = ofLaws.test(nameOf(module));
    for (const test of module.children.allTests("passed")) {
      const title = test.fullName.split(" > ")[0]!;
      const agrees = fixture.exec(title)?.[1];
      if (agrees !== undefined) fixtures.push(agrees);
      else if (isOfLaws) titles.push(title);
    }
  }
  const laws = Object.values<SystemEntry>(systems).map((system) => {
    const named = new RegExp(`(?<![\\w-])(${[...partsOf(system)].join("|")})(?![\\w-])`);
    return [system.name, titles.filter((title) => named.test(title)).length] as const;
  });
  return { laws: sorted(laws), fixtures: sorted(fixtures.map((one) => [one, true] as const)) };
}

const nameOf = (module: TestModule): string => `/${relative(root, module.moduleId)}`;

function sorted<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
