import type { LayerPatterns, Pattern } from "../../kinds/index.ts";

/**
 * Layer n has pattern n; with more layers than patterns they repeat.
 *
 * @throws RangeError when there is no pattern
 */
export function perLayer(patterns: readonly Pattern[]): LayerPatterns {
  if (patterns.length === 0) throw new RangeError("perLayer: expected at least one pattern, got none");
  return (layer) => patterns[layer % patterns.length]!;
}

/** All layers have the same pattern. */
export function always(pattern: Pattern): LayerPatterns {
  return () => pattern;
}

/** Made once for each layer: plans and drawings know a pattern by its object. */
export function eachLayer(make: LayerPatterns): LayerPatterns {
  const made = new Map<number, Pattern>();
  return (layer) => {
    const pattern = made.get(layer) ?? make(layer);
    made.set(layer, pattern);
    return pattern;
  };
}
