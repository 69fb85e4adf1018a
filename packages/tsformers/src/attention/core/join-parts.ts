import { add, cast, concat, logSumExp, mul, slice, softmax } from "@tsformers/engine";
import type { Mixed } from "./query-block.ts";

/**
 * Merges partial results of the same queries over different keys. Each part is normalised by itself: its share of the whole is the
 * softmax of the parts' log-normalisers.
 */
export function joinParts(parts: readonly Mixed[]): Mixed {
  if (parts.length === 1) return parts[0]!;
  const sums = concat(
    parts.map(({ sums }) => sums!),
    -1,
  );
  const shares = softmax(sums);
  return {
    mixed: parts
      .map(({ mixed }, i) => mul(mixed, cast(slice(shares, -1, i, i + 1), mixed.dtype)))
      .reduce((a, b) => add(a, b)),
    sums: logSumExp(sums, { axes: -1, keepDims: true }),
  };
}
