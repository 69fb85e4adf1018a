import { cast, constant, convert, transpose } from "@tsformers/engine";
import * as z from "zod";
import { bucketAttention, unitVectors } from "../../attention/lsh/bucket-attention.ts";
import { lshBuckets } from "../../attention/lsh/lsh-hash.ts";
import { earlierInChunks, sameBucket, wholeChunks } from "../../attention/lsh/lsh-reach.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const even = z.number().int().positive().multipleOf(2);
const options = z.strictObject({
  chunk: z.number().int().positive(),
  look_back: z.boolean(),
  causal: z.boolean(),
  same_bucket: z.boolean(),
  scale_keys: z.boolean(),
  n_buckets: z.union([even, z.array(even).nonempty()]),
});

/** Reformer: qk [B, H, T, D], v [B, H, T, D], rotations [H, D, R, M] and optional key_mask [B, T]. */
export const lshAttention: Mechanism = {
  run({ qk, v, rotations }, given, { key_mask: mask }) {
    const { chunk, look_back, causal, same_bucket, scale_keys, n_buckets } = options.parse(given);
    const keyMask = mask === undefined ? undefined : constant(convert(mask, "float32"));
    const buckets = lshBuckets(qk!, transpose(rotations!, [0, 2, 3, 1]), n_buckets, keyMask);
    const inChunks = causal ? earlierInChunks : wholeChunks;
    const { mixed, roundWeights } = bucketAttention({ q: qk!, k: unitVectors(qk!), v: v! }, buckets, {
      reach: same_bucket ? sameBucket(inChunks) : inChunks,
      buckets: n_buckets,
      chunk,
      chunksBack: look_back ? 1 : 0,
      wraps: true,
      scale: scale_keys ? 1 / Math.sqrt(qk!.shape.at(-1)!) : 1,
      ...present({ keyMask }),
    });
    return { out: mixed, buckets: cast(buckets, "int64"), round_weights: roundWeights() };
  },
};
