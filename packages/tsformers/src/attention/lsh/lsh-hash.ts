import {
  add,
  argmax,
  cast,
  concat,
  matmul,
  mul,
  neg,
  reshape,
  slice,
  stopGradient,
  type Tensor,
  transpose,
  where,
} from "@tsformers/engine";

/** Number of buckets: a number, or factors whose product it is, each hashed separately; all must be even. */
export type BucketCount = number | readonly number[];

/**
 * The bucket of each vector in each round of hashing: `h(x) = argmax([xR; −xR])`, which names the nearest half-axis of a randomly
 * rotated frame. The more similar the directions of two vectors, the more likely they share a bucket.
 *
 * With factors b₁, b₂, … the parts are hashed separately, `h = h₁ + b₁·h₂ + …`: the cost is linear in the sum of the factors
 * instead of in their product. No gradient flows through.
 *
 * @param rotations [H, R, M, D] with M half the sum of the factors, standard normal
 * @param keyMask 1 for real vectors, 0 for padding, [B, T]: padding gets a bucket of its own after the others
 * @shape  x [B, H, T, D] → int32 [B, H, R, T]
 * @cost   O(B·H·R·T·M·D) time, O(B·H·R·T·M) memory
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §2, arXiv:2001.04451; after Andoni et al. 2015,
 *   arXiv:1509.02897; factors: as the authors' code has them
 */
export function lshBuckets(x: Tensor, rotations: Tensor, count: BucketCount, keyMask?: Tensor): Tensor {
  const factors = factorsOf(count);
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  const [, rounds, half] = rotations.shape as [number, number, number, number];
  const expected = factors.reduce((a, b) => a + b, 0) / 2;
  if (rotations.shape[0] !== heads || half !== expected || rotations.shape[3] !== width) {
    throw new RangeError(
      `lshBuckets: ${heads} heads of width ${width} and ${factors.join(" · ")} buckets take rotations [${heads}, rounds, ${expected}, ${width}], got ${rotations}`,
    );
  }
  const vectors = stopGradient(cast(x, "float32"));
  const frame = cast(rotations, "float32");
  let buckets: Tensor | undefined;
  let [from, product] = [0, 1];
  for (const factor of factors) {
    const axes = slice(frame, 2, from, from + factor / 2);
    const both = reshape(concat([axes, neg(axes)], 2), [heads, rounds * factor, width]);
    const turned = reshape(matmul(vectors, both, { transposeB: true }), [batch, heads, length, rounds, factor]);
    const own = mul(argmax(turned, -1), product);
    buckets = buckets === undefined ? own : add(buckets, own);
    from += factor / 2;
    product *= factor;
  }
  const hashed = transpose(buckets!, [0, 1, 3, 2]);
  if (keyMask === undefined) return hashed;
  return where(reshape(cast(keyMask, "bool"), [batch, 1, 1, length]), hashed, product);
}

/** @throws RangeError when a factor is not an even positive number */
export function factorsOf(count: BucketCount): readonly number[] {
  const factors = typeof count === "number" ? [count] : count;
  if (factors.length > 0 && factors.every((factor) => Number.isInteger(factor) && factor > 0 && factor % 2 === 0))
    return factors;
  throw new RangeError(
    `lshBuckets: expected an even number of buckets, or even factors of it, got ${JSON.stringify(count)}`,
  );
}

/** With more buckets than this, hashing in two parts costs much less. */
const mostUnfactored = 64;

/**
 * The paper's number of buckets, about two per chunk of the longest sequence: the largest power of two up to `2·⌊length / chunk⌋`,
 * in two factors where there are many.
 */
export function usualBuckets(length: number, chunk: number): BucketCount {
  const exponent = Math.max(1, Math.floor(Math.log2(2 * Math.floor(length / chunk) || 1)));
  if (2 ** exponent <= mostUnfactored) return 2 ** exponent;
  return [2 ** Math.ceil(exponent / 2), 2 ** Math.floor(exponent / 2)];
}
