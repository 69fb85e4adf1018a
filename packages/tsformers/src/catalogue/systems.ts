import * as room from "../systems/index.ts";
import { type SystemEntry, systemCategories } from "../systems/system-entry.ts";

type Room = typeof room;

type Systems = {
  readonly [Export in keyof Room as Room[Export] extends SystemEntry<infer Name> ? Name : never]: SystemEntry;
};

/** Every system by name: by what it is for, then in the order of the papers. */
export const systems: Systems = /* @__PURE__ */ systemsOf();

export type SystemName = keyof Systems;

function systemsOf(): Systems {
  const entries = Object.values(room as Readonly<Record<string, unknown>>).filter(isSystem);
  const rank = ({ category }: SystemEntry): number => systemCategories.indexOf(category);
  const sorted = entries.sort((a, b) => rank(a) - rank(b) || a.year - b.year || a.name.localeCompare(b.name));
  return Object.fromEntries(sorted.map((entry) => [entry.name, entry])) as Systems;
}

function isSystem(value: unknown): value is SystemEntry {
  return typeof value === "object" && value !== null && "presets" in value;
}
