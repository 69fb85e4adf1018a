import { abs, add, minimum, mul, sub, type Tensor } from "@tsformers/engine";

/** Tokens as they stand sorted by bucket: of queries all [..., c, 1], of keys all [..., 1, W]; whole numbers in float32. */
export type Slots = {
  /** Which token. */
  readonly position: Tensor;
  readonly bucket: Tensor;
  /** Where in the sorted order. */
  readonly slot: Tensor;
};

/**
 * Which tokens near it in the sorted order a query looks at, as a bound that its logits are cut to: a logit that may count lies
 * below it, the query's own is cut to {@link self}, what it may not see to something much lower. Own logits count where there is
 * nothing else, and only there.
 */
export type Reach = {
  /** Whether what comes later in the sequence stays unseen. */
  readonly causal: boolean;
  /** Whether tokens of other buckets are seen where they share chunks. */
  readonly acrossBuckets: boolean;
  /** How far back in the sorted order it goes where the chunks let it; all that they hold unless told. */
  readonly count?: number;
  /** hidden: added to what is taken off keys that nobody sees (0 or very large), shaped like `key` */
  bound(query: Slots, key: Slots, hidden: Tensor): Tensor;
};

/** A power of two far above any logit: whole multiples and halves of it stay exact in float32, up to 2^23 positions. */
const far = 2 ** 18;

/**
 * What the logit of a token with itself is replaced by. Trax and Hugging Face have −1e5 there, and −1e9 where the future or padding
 * is: any two numbers do that lie far enough below all logits and each other.
 */
export const self: number = -far / 2;

/** Keys hidden by more than this are not seen. */
export const unseen: number = -far;

/** All of the own chunk and the chunks before it, across buckets: what Trax and Hugging Face compute. */
export const wholeChunks: Reach = {
  causal: false,
  acrossBuckets: true,
  bound: (query, key, hidden) => sub(abs(sub(mul(query.position, far), mul(key.position, far))), add(hidden, far / 2)),
};

/**
 * {@link wholeChunks} but for what comes later in the sequence.
 *
 * Which earlier tokens share a query's chunk depends on how many later ones sort before it: nothing of later tokens is seen, but
 * changing one may change what earlier queries look at. {@link ownBucket} is free of that.
 */
export const earlierInChunks: Reach = {
  causal: true,
  acrossBuckets: true,
  bound: (query, key, hidden) => sub(sub(mul(query.position, far), far / 2), add(mul(key.position, far), hidden)),
};

/**
 * The `count` tokens before it in its own bucket: what a query sees depends on what came before it and on nothing else, so that
 * decoding step by step equals the parallel form.
 */
export function ownBucket(count: number): Reach {
  // Sorted, tokens of later buckets stand further on: one number tells them apart from those of the own bucket that are too far.
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

/** Of what `reach` shows, the query's bucket: the paper's definition. */
export function sameBucket(reach: Reach): Reach {
  return {
    ...reach,
    acrossBuckets: false,
    bound: (query, key, hidden) =>
      minimum(reach.bound(query, key, hidden), sub(far, mul(abs(sub(query.bucket, key.bucket)), 4 * far))),
  };
}
