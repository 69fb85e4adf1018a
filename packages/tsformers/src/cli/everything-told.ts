import { systems } from "../catalogue/systems.ts";
import { catalogues } from "./catalogues.ts";
import { toldByDefault } from "./describe.ts";
import { toldSystem } from "./describe-system.ts";
import { find } from "./described.ts";
import type { Kept } from "./kept.ts";
import { listed } from "./listed.ts";
import type { Told } from "./told.ts";

/** What `list` prints, and what `describe` tells of every name where no flag changes it. */
export async function everythingTold(): Promise<Kept> {
  const told: Record<string, Told> = {};
  for (const system of Object.values(systems)) told[`systems/${system.name}`] = toldSystem(system);
  for (const [is, { entries }] of Object.entries(catalogues)) {
    for (const name of Object.keys(entries)) told[`${is}/${name}`] = await toldByDefault(find(`${is}/${name}`)[0]!);
  }
  return { lists: listed(), told };
}
