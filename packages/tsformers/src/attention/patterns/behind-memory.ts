import type { Pattern } from "../../kinds/index.ts";
import { headsOf } from "./pattern.ts";

const known = new WeakMap<Pattern, Map<number, Pattern>>();

/**
 * What queries see whose keys begin with the memory of `memory` earlier positions: query t sees what position memory + t of a whole
 * sequence would see. Made once for a pattern and a length.
 */
export function behindMemory(pattern: Pattern, memory: number): Pattern {
  const made = known.get(pattern) ?? new Map<number, Pattern>();
  known.set(pattern, made);
  const shifted = made.get(memory) ?? shiftedBy(pattern, memory);
  made.set(memory, shifted);
  return shifted;
}

function shiftedBy(pattern: Pattern, memory: number): Pattern {
  const one = (own: Pattern): Pattern => ({
    name: `${own.name} behind a memory of ${memory}`,
    keys: (query, length) => own.keys(query + memory, length),
  });
  return pattern.heads === undefined ? one(pattern) : { ...one(pattern), heads: headsOf(pattern).map(one) };
}
