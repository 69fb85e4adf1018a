import { intersection } from "./combine.ts";
import { causal, fullPattern, type Pattern } from "./pattern.ts";

type Known = { readonly part: Pattern; readonly lengths: Map<number, boolean> };

const known = new WeakMap<Pattern, Known>();

/**
 * The causal part of a pattern for sequences of `length`: `and(pattern, causal)`, or the pattern itself if it is causal already.
 *
 * Returns the same object for the same pattern, since plans are cached by it: a pattern that is causal already costs nothing extra.
 */
export function causalPart(pattern: Pattern, length: number): Pattern {
  if (pattern === causal || pattern === fullPattern) return causal;
  const { part, lengths } = known.get(pattern) ?? {
    part: intersection(pattern, causal),
    lengths: new Map<number, boolean>(),
  };
  known.set(pattern, { part, lengths });
  const isCausal = lengths.get(length) ?? !looksAhead(pattern, length);
  lengths.set(length, isCausal);
  return isCausal ? pattern : part;
}

function looksAhead(pattern: Pattern, length: number): boolean {
  for (let query = 0; query < length; query++) {
    if ((pattern.keys(query, length).at(-1) ?? 0) > query + 1) return true;
  }
  return false;
}
