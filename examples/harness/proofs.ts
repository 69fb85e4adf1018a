import type { SystemEntry } from "tsformers/systems";
import type { Proof } from "../../packages/tsformers/src/cli/proof.ts";
import type { Laws } from "./laws-reporter.ts";
import type { Result } from "./result.ts";

/** The names of a system and of the members of catalogues that its small preset is put together from. */
export function partsOf({ name, presets }: Pick<SystemEntry, "name" | "presets">): Set<string> {
  const named = new Set([name]);
  const collect = (value: unknown, key: string): void => {
    if (typeof value === "string" && parts.has(key)) named.add(value);
    if (typeof value === "object" && value !== null)
      for (const [inner, found] of Object.entries(value)) collect(found, Array.isArray(value) ? key : inner);
  };
  collect(presets.small.run.model, "model");
  return named;
}

/** Settings whose value is the name of a member. */
const parts = new Set(["kind", "mixer", "mixers", "pattern", "patterns", "position", "depth"]);

/** @throws Error for a system without laws, of a fixture that was not compared or of an example without a result */
export function proofsOf(
  systems: readonly SystemEntry[],
  { laws, fixtures }: Laws,
  results: Readonly<Record<string, Result>>,
): Record<string, Proof> {
  return Object.fromEntries(
    systems.map(({ name, golden, example }) => {
      const result = results[example];
      const missing = golden.find((fixture) => !Object.hasOwn(fixtures, fixture));
      if (!laws[name])
        throw new Error(`${name}: expected laws in examples/laws.json, found none; run \`npm run laws\``);
      if (missing !== undefined) throw new Error(`${name}: expected fixture ${missing} in examples/laws.json`);
      if (result === undefined) throw new Error(`${name}: expected a result of the example ${example}`);
      const { ours, plain, better, measure, figures = {} } = result;
      const own = Object.entries(figures).find(([figure]) => figure.startsWith(`${name}, `));
      return [
        name,
        {
          laws: laws[name],
          fixtures: golden.length,
          ours,
          plain,
          better,
          measure,
          ...(own !== undefined && { own: own.join(": ") }),
        },
      ];
    }),
  );
}
