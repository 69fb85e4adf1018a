import {
  add,
  cast,
  constant,
  expandDims,
  fromNumbers,
  matmul,
  oneHot,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import * as z from "zod";
import { ofHeads, spread } from "../attention/core/by-distance.ts";
import type { ScoreMod } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { positionCount } from "../schema/count.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/** The bucket of a distance key − query. */
export type Buckets = (distance: number) => number;

export type BucketOptions = {
  /** Number of buckets. Default: 32. */
  readonly buckets?: number;
  /** Distances from here on share a bucket. Default: 128. */
  readonly maxDistance?: number;
};

const defaults = { buckets: 32, maxDistance: 128 };

/**
 * Buckets for keys before the query: one per near distance, then wider and wider ones up to `maxDistance`. Keys after the query
 * share bucket 0.
 *
 * `bucket(r) = r` for `r < E`, else `E + ⌊log(r/E) / log(maxDistance/E) · (buckets − E)⌋`, with `E = buckets / 2`.
 */
export function causalBuckets(options: BucketOptions = {}): Buckets {
  const { buckets, maxDistance } = { ...defaults, ...options };
  const exact = Math.floor(buckets / 2);
  return (distance) => {
    const back = Math.max(-distance, 0);
    if (back < exact) return back;
    const wide = Math.floor((Math.log(back / exact) / Math.log(maxDistance / exact)) * (buckets - exact));
    return Math.min(exact + wide, buckets - 1);
  };
}

/** Half of the buckets for keys before the query and the query itself, the other half for keys after it. */
export function bidirectionalBuckets(options: BucketOptions = {}): Buckets {
  const { buckets, maxDistance } = { ...defaults, ...options };
  const half = Math.floor(buckets / 2);
  const bucket = causalBuckets({ buckets: half, maxDistance });
  return (distance) => (distance > 0 ? half : 0) + bucket(-Math.abs(distance));
}

/**
 * T5's relative position bias: a learned number per head and bucket of distances, added to the logits; one table for the whole stack.
 *
 * `logits[b,h,t,s] += table[bucket(s − t), h]`
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]; table [buckets, H]
 * @cost   O(H·T·S) time besides the sum, nothing beyond `maxDistance`; buckets·H parameters
 * @source Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", §2.1,
 *   arXiv:1910.10683
 */
export function t5Bias(
  heads: number,
  bucketOf: Buckets,
  options: BucketOptions & { readonly initial?: Initial } = {},
): ScoreMod<{ weight: Tensor }> {
  const { buckets, maxDistance, initial = normalInitial() } = { ...defaults, ...options };
  const [low, high] = saturation(bucketOf, maxDistance);
  return {
    init: (key) => ({ weight: initial(key, [buckets, heads]) }),
    prepare: ({ weight }, positions) => {
      const table = ofHeads(transpose(weight), positions);
      // The look-up is a product with a one-hot matrix, so that its gradient is a product, too.
      const values = (from: number, to: number) => {
        const wanted = Array.from({ length: to - from }, (_, i) => bucketOf(from + i));
        const picked = oneHot(constant(fromNumbers(wanted, [to - from], "int32")), buckets, table.dtype);
        return expandDims(matmul(table, picked, { transposeB: true }), 1);
      };
      const bias = spread(positions, { low, high, values });
      return { logits: (logits) => add(logits, cast(bias, logits.dtype)) };
    },
  };
}

/** The distances, before and behind the query, beyond which the bucket no longer changes. */
function saturation(bucketOf: Buckets, maxDistance: number): readonly [low: number, high: number] {
  let [low, high] = [-maxDistance, maxDistance];
  while (low < 0 && bucketOf(low + 1) === bucketOf(low)) low++;
  while (high > 0 && bucketOf(high - 1) === bucketOf(high)) high--;
  return [low, high];
}

export type T5BiasSettings = { readonly buckets?: number; readonly maxDistance?: number };

export const t5Entry: PositionEntry<"t5", T5BiasSettings> = /* @__PURE__ */ positionEntry({
  name: "t5",
  title: "T5's relative position bias",
  year: 2020,
  paper:
    "Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, arXiv:1910.10683",
  category: "scores",
  summary: "a learned bias for each head and bucket of distances",
  formula: "logits[h,t,s] += table[bucket(s − t), h]",
  cost: "buckets·H parameters; O(B·H·T·S) a layer",
  beyond: "far distances share the last bucket; loss rises more slowly than with sinusoids or rotation",
  options: () =>
    z.strictObject({
      buckets: positionCount(4)
        .default(defaults.buckets)
        .describe("how many distances are told apart; half of them ahead where not causal"),
      maxDistance: positionCount(8)
        .optional()
        .describe(
          "distances from here on share a bucket. Default: a quarter of the training length, at least twice the exact ones",
        ),
    }),
  make: ({ buckets, maxDistance }, { heads, length, causal }) => {
    // T5 itself: 128 of 512. A last bucket that training seldom meets would decide what happens beyond the training length.
    const distances = { buckets, maxDistance: maxDistance ?? Math.max(buckets, Math.ceil(length / 4)) };
    const bucketOf = causal ? causalBuckets(distances) : bidirectionalBuckets(distances);
    return { scores: t5Bias(heads, bucketOf, distances) };
  },
});
