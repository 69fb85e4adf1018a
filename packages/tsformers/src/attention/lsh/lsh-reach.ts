import { abs, add, minimum, mul, sub, type Tensor } from "@tsformers/engine";

/** Sorted tokens: all [..., c, 1] for queries, all [..., 1, W] for keys; whole numbers in float32. */
export type Slots = {
  /** Position in the sequence. */
  readonly position: Tensor;
  readonly bucket: Tensor;
  /** Index in the sorted order. */
  readonly slot: Tensor;
};

/**
 * Which tokens near it in the sorted order a query looks at, expressed as an upper bound on logits: visible keys get a bound above
 * every logit, the query itself gets {@link self}, hidden keys get something much lower. A query therefore weighs itself only if
 * it sees no other key.
 */
export type Reach = {
  /** Whether later positions are hidden. */
  readonly causal: boolean;
  /** Whether tokens of other buckets are seen if they share chunks. */
  readonly acrossBuckets: boolean;
  /** How far back in the sorted order a query looks, within its chunks. Default: to the beginning of its chunks. */
  readonly count?: number;
  /** hidden: subtracted from the bound of keys that nobody sees (0 or very large), shaped like `key` */
  bound(query: Slots, key: Slots, hidden: Tensor): Tensor;
};

/** A power of two far above any logit: whole multiples and halves of it are exact in float32, up to 2^23 positions. */
const far = 2 ** 18;

/**
 * Replaces the logit of a token with itself. Trax and Hugging Face have −1e5 there, and −1e9 for the future and padding:
 * any two numbers work that are far below all logits and far apart.
 */
export const self: number = -far / 2;

/** Keys with a bound below this are not seen. */
export const unseen: number = -far;

/** The own chunk and the chunks before it, across buckets: what Trax and Hugging Face compute. */
export const wholeChunks: Reach = {
  causal: false,
  acrossBuckets: true,
  bound: (query, key, hidden) => sub(abs(sub(mul(query.position, far), mul(key.position, far))), add(hidden, far / 2)),
};

/**
 * {@link wholeChunks} without later positions.
 *
 * Which earlier tokens share a query's chunk depends on how many later ones sort in front: later tokens are never seen, but
 * changing one may change what earlier queries see. {@link ownBucket} does not have this problem.
 */
export const earlierInChunks: Reach = {
  causal: true,
  acrossBuckets: true,
  bound: (query, key, hidden) => sub(sub(mul(query.position, far), far / 2), add(mul(key.position, far), hidden)),
};

/**
 * The last `count` tokens before it in its own bucket: what a query sees depends only on earlier tokens, so that decoding step by
 * step equals the parallel form.
 */
export function ownBucket(count: number): Reach {
  // Later buckets sort further on: one number separates them from tokens of the own bucket that are too far back.
  const place = ({ slot, bucket }: Slots): Tensor => add(slot, mul(bucket, 2 * count));
  return {
    causal: true,
    acrossBuckets: false,
    count,
    bound: (query, key, hidden) => {
      const [at, of] = [place(query), place(key)];
      const earlier = sub(sub(mul(at, far), far / 2), add(mul(of, far), hidden));
      const near = sub(mul(of, 2 * far), sub(mul(at, 2 * far), (2 * count + 0.5) * far));
      return minimum(earlier, near);
    },
  };
}

/** Restricts `reach` to the query's bucket: the paper's definition. */
export function sameBucket(reach: Reach): Reach {
  return {
    ...reach,
    acrossBuckets: false,
    bound: (query, key, hidden) =>
      minimum(reach.bound(query, key, hidden), sub(far, mul(abs(sub(query.bucket, key.bucket)), 4 * far))),
  };
}
