import { entryOf } from "../catalogue/catalogue-of.ts";
import type { Choice, Entry } from "../run/catalogue.ts";
import { parseRunConfig, type RunConfig } from "../run/config.ts";
import { type Flag, flagName, type GivenFlags, misplacedFlags, namesakes, withFlags } from "../run/flags.ts";
import { openParts, partNames, partRefusal } from "../run/parts.ts";
import { kebab } from "../schema/kebab.ts";
import { nearest } from "../schema/nearest.ts";
import { catalogues } from "./catalogues.ts";
import { nameOfSetting, runFlags } from "./config-flags.ts";
import { UsageError } from "./exit.ts";

export type Given = {
  readonly vocabularySize: number;
  readonly direction?: "causal" | "bidirectional";
  readonly svg?: string;
  readonly ascii?: true;
  readonly json?: true;
  readonly prompt?: string;
  readonly promptTokens?: readonly number[];
};

/** What a name of the catalogue stands for. */
export type Found = {
  readonly is: string;
  readonly name: string;
  readonly entry: Entry;
  readonly path: readonly string[];
};

export function named(name: string): { readonly own: string; readonly found: Found[] } {
  const [is, own] = name.includes("/") ? (name.split("/") as [string, string]) : [undefined, name];
  const found = Object.entries(catalogues).flatMap(([title, { entries, path }]) =>
    (is === undefined || is === title) && Object.hasOwn(entries, own)
      ? [{ is: title, name: own, entry: entryOf(entries, own), path }]
      : [],
  );
  return { own, found };
}

/** @throws UsageError for a name that is not in the catalogue, with the nearest one */
export function find(name: string): Found[] {
  const { own, found } = named(name);
  if (found.length > 0) return found;
  const known = [...new Set(Object.values(catalogues).flatMap(({ entries }) => Object.keys(entries)))];
  const near = nearest(own, known);
  throw new UsageError(
    `describe: nothing is called ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}\n\`tsformers list\` shows every name`,
  );
}

/** Settings that say where parts of a model are looked at. */
export const placeFlags: readonly Flag[] = runFlags.filter(({ path }) =>
  ["length", "model.layers", "model.heads", "model.modelWidth"].includes(path.join(".")),
);

export function directionsOf(entry: Entry): readonly unknown[] {
  return "directions" in entry && Array.isArray(entry.directions) ? entry.directions : [];
}

/** Whether a flag is a setting of what was found. */
export function isOwn({ path, nodes, kinds }: Flag, found: Found): boolean {
  return kinds === undefined && path.slice(0, -1).join() === found.path.join() && nodes.has(found.name);
}

/** Whether a flag chooses a part that a model leaves open. */
export function isOpenPart({ path, nodes, kinds }: Flag, { is, name }: Found): boolean {
  return is === "models" && kinds !== undefined && path.length > 2 && nodes.has(name);
}

/** Whether a flag changes what is told of what was found. */
function isUsed(flag: Flag, found: Found): boolean {
  const { is, name, path } = found;
  const place = flag.path.join(".");
  if (is === "models")
    return (
      isOwn(flag, found) ||
      isOpenPart(flag, found) ||
      place === "length" ||
      (flag.path.length > 2 && flag.kinds === undefined && openParts(name).includes(flag.path[1]!))
    );
  if (is === "tasks") return isOwn(flag, found) || place === "length" || place === "seed";
  return path.length > 1 && (isOwn(flag, found) || placeFlags.includes(flag));
}

/** @throws UsageError for flags that tell nothing of what was found */
export function requireUse(found: readonly Found[], given: GivenFlags, options: Given): void {
  const names = [...new Set(found.map(({ name }) => name))].join(" and ");
  const idle = [...given.keys()].filter((flag) => !found.some((one) => isUsed(flag, one)));
  const problems = idle.map((flag) => {
    const part = partNames.find((name) => flag.path.join() === ["model", name, "kind"].join());
    const model = found.find(({ is }) => is === "models");
    if (part !== undefined && model !== undefined) return `${flagName(flag)}: ${partRefusal(model.name, part)}`;
    const owners = [...flag.nodes.keys()].filter((kind) => kind !== "");
    const whose =
      flag.kinds !== undefined || owners.length === 0
        ? ""
        : `; it is an option of ${owners.join(", ")}${namesakes(flag, runFlags)}`;
    return `${flagName(flag)} does nothing with ${names}${whose}`;
  });
  const directed = found.some(({ entry }) => directionsOf(entry).length > 0);
  for (const flag of ["prompt", "promptTokens"] as const)
    if (options[flag] !== undefined)
      problems.push(`--${kebab(flag)} does nothing with ${names}; it is for the folder of a run`);
  if (options.direction !== undefined && !directed) problems.push(`--direction does nothing with ${names}`);
  if (options.svg !== undefined && found.every(({ is }) => is !== "patterns")) {
    problems.push(`--svg draws patterns, which ${names} is not; tsformers list patterns shows them`);
  }
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
}

/** The configuration of what is described, with the flags that it takes. */
export function configOf(
  settings: Partial<Readonly<Record<"model" | "task", Choice>>>,
  found: Found,
  given: GivenFlags,
): RunConfig {
  const used = new Map([...given].filter(([flag]) => isUsed(flag, found)));
  const raw = withFlags(settings, runFlags, used);
  const misplaced = misplacedFlags(raw, runFlags, used.keys(), partRefusal);
  if (misplaced.size > 0) throw new UsageError([...misplaced.values()].join("\n"));
  return parseRunConfig(raw, "flags", (path) => nameOfSetting(path, used));
}
