import { systems } from "../catalogue/systems.ts";
import { catalogues } from "./catalogues.ts";
import type { Lists } from "./list.ts";
import { proofOf } from "./proof.ts";

/** What tells members of a catalogue apart, beside their summaries. */
const telling = ["title", "year", "category", "cost", "exponent", "directions", "causal", "use", "example"];

function moreOf(entry: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([key]) => telling.includes(key)));
}

/** Everything that has a name: systems as a whole, then what can be chosen for a run. */
export function listed(): Lists {
  const entries = Object.entries(catalogues).map(([what, { entries }]) => [
    what,
    Object.entries(entries).map(([name, entry]) => ({ name, summary: entry.summary, ...moreOf(entry) })),
  ]);
  const whole = Object.entries(systems).map(([name, entry]) => ({
    name,
    summary: entry.summary,
    ...moreOf(entry),
    proved: proofOf(name),
  }));
  return { systems: whole, ...Object.fromEntries(entries) };
}
