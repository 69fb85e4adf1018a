import {
  add,
  cast,
  constant,
  expandDims,
  fromNumbers,
  gather,
  maximum,
  minimum,
  sub,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import type { ScoreMod } from "../attention/kinds.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";

/** The bucket of a distance key − query. */
export type Buckets = (distance: number) => number;

export type BucketOptions = {
  /** 32 unless told. */
  readonly buckets?: number;
  /** Distances from here on share a bucket; 128 unless told. */
  readonly maxDistance?: number;
};

/**
 * Buckets that look back only: one for each near distance, then wider and wider ones up to `maxDistance`. What lies ahead
 * shares bucket 0.
 *
 * `bucket(r) = r` for `r < E`, else `E + ⌊log(r/E) / log(maxDistance/E) · (buckets − E)⌋`, with `E = buckets / 2`.
 */
export function causalBuckets({ buckets = 32, maxDistance = 128 }: BucketOptions = {}): Buckets {
  const exact = Math.floor(buckets / 2);
  return (distance) => {
    const back = Math.max(-distance, 0);
    if (back < exact) return back;
    const wide = Math.floor((Math.log(back / exact) / Math.log(maxDistance / exact)) * (buckets - exact));
    return Math.min(exact + wide, buckets - 1);
  };
}

/** Half of the buckets for what came before and for the position itself, the other half for what comes after. */
export function bidirectionalBuckets({ buckets = 32, maxDistance = 128 }: BucketOptions = {}): Buckets {
  const half = Math.floor(buckets / 2);
  const bucket = causalBuckets({ buckets: half, maxDistance });
  return (distance) => (distance > 0 ? half : 0) + bucket(-Math.abs(distance));
}

/**
 * A learned number for each head and bucket of distances, added to the logits; one table for a whole stack.
 *
 * `logits[b,h,t,s] += table[bucket(s − t), h]`
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]; table [buckets, H]
 * @source Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", §2.1,
 *   arXiv:1910.10683
 */
export function t5Bias(
  heads: number,
  bucketOf: Buckets,
  options: BucketOptions & { readonly initial?: Initial } = {},
): ScoreMod<{ weight: Tensor }> {
  const { buckets = 32, maxDistance = 128, initial = normalInitial() } = options;
  const distances = Array.from({ length: 2 * maxDistance + 1 }, (_, i) => i - maxDistance);
  const table = fromNumbers(distances.map(bucketOf), [distances.length], "int32");
  return {
    init: (key) => ({ weight: initial(key, [buckets, heads]) }),
    prepare: ({ weight }, { query, key }) => {
      const byDistance = gather(weight, constant(table));
      const distance = sub(expandDims(key, -2), expandDims(query, -1));
      const bias = gather(byDistance, add(maximum(minimum(distance, maxDistance), -maxDistance), maxDistance));
      const rank = bias.shape.length;
      const order = rank === 3 ? [2, 0, 1] : [0, 3, 1, 2];
      const perHead = transpose(bias, order);
      return (logits) => add(logits, cast(perHead, logits.dtype));
    },
  };
}
