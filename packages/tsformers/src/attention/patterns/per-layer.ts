import type { Pattern } from "./pattern.ts";

/**
 * Layer n has pattern n; with more layers than patterns they repeat.
 *
 * @throws RangeError when there is no pattern
 */
export function perLayer(patterns: readonly Pattern[]): (layer: number) => Pattern {
  if (patterns.length === 0) throw new RangeError("perLayer: expected at least one pattern, got none");
  return (layer) => patterns[layer % patterns.length]!;
}
