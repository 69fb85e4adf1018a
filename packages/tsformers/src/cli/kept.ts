import { readFileSync } from "node:fs";
import type { Lists } from "./list.ts";
import type { Told } from "./told.ts";

/** What `list` prints, and what `describe` tells of every name where no flag changes it. */
export type Kept = {
  readonly lists: Lists;
  /** By `systems/alibi`, `models/gpt`, …, in the order of the lists. */
  readonly told: Readonly<Record<string, Told>>;
};

const file = new URL("./told.json", import.meta.url);

/** What the build has kept (see `tell.ts`), so that nothing of the catalogue needs to be loaded; undefined where the sources run. */
export function readKept(): Kept | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Kept;
  } catch {
    return undefined;
  }
}

/** All that a name means, as `describe` finds it: a system only where nothing else is called so. */
export function keptUnder(name: string, { told }: Kept): readonly Told[] {
  if (name.includes("/")) return Object.hasOwn(told, name) ? [told[name]!] : [];
  const all = Object.entries(told).filter(([key]) => key.slice(key.indexOf("/") + 1) === name);
  const others = all.filter(([key]) => !key.startsWith("systems/"));
  return (others.length > 0 ? others : all).map(([, one]) => one);
}
