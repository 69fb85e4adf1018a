import type { NDArray } from "@tsformers/engine";

/** Losses that were read, as numbers by name. */
export function numbersOf(losses: Readonly<Record<string, NDArray>>): Record<string, number> {
  return Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.item()]));
}

/** Losses under the names that they have among the metrics of a run. */
export function loggedLosses(losses: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(losses).map(([name, value]) => [`loss/${name}`, value]));
}
