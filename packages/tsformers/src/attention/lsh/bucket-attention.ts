import { add, cast, div, mul, reshape, sqrt, square, sum, type Tensor, transpose, zeros } from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import { present } from "../../schema/present.ts";
import { type BucketCount, factorsOf } from "./lsh-hash.ts";
import { sortIntoChunks } from "./lsh-order.ts";
import type { Reach } from "./lsh-reach.ts";
import { attendWindows, type Rows, sizesOf, windowWeights } from "./lsh-windows.ts";

export type BucketAttentionOptions = {
  readonly reach: Reach;
  /** Number of buckets, not counting the one for padding. */
  readonly buckets: BucketCount;
  /** Tokens in a chunk. */
  readonly chunk: number;
  /** How many chunks before its own a query looks at. Default: 1. */
  readonly chunksBack?: number;
  /**
   * Lets the first chunk of each round look back at the last chunk of the round before, and that of the first round at the very
   * last, as Trax, Hugging Face and lucidrains do. Results then depend on padding, and a key may be met twice in a round.
   * By the paper's formula the first chunk looks back at nothing. Default: no wrapping.
   */
  readonly wraps?: true;
  /**
   * Rounds are filled up to a multiple of so many tokens, which must be one of `chunk`; where chunks wrap around, the last one may
   * then be of fill alone. Default: `chunk`.
   */
  readonly multiple?: number;
  /**
   * Counts a key once even if several rounds find it: subtracts `log N_ij` from logits, as in the paper. Default: not, as in Trax
   * and Hugging Face: it costs as many passes over the logits as there are rounds, and removes only a mild preference for keys
   * that several rounds find.
   */
  readonly countsOnce?: true;
  /** Factor of the logits. Default: 1, since keys have unit length. */
  readonly scale?: number;
  /** How many logits are computed at a time. Default: see {@link attendWindows}. */
  readonly logitsAtATime?: number;
  /** 1 for real tokens, 0 for padding, [B, T]. Padded queries get 0. */
  readonly keyMask?: Tensor;
};

export type BucketAttended = {
  /** [B, H, T, D] */
  readonly mixed: Tensor;
  readonly map: () => AttentionMap & { readonly keys: Tensor };
  /** The weight of each round in each query's result, [B, H, R, T]. */
  readonly roundWeights: () => Tensor;
};

/**
 * Attention within buckets: in each of R rounds tokens are sorted by bucket and position and cut into chunks; a query looks at its
 * own chunk and the one before, and at itself only if it sees no other key. Rounds are combined with weights from the softmax of
 * their log-normalisers.
 *
 * A sequence that fits into one chunk sees everything, without buckets, where the reach crosses bucket bounds.
 *
 * @param buckets int32 [B, H, R, T]; those of an earlier pass may be reused
 * @shape  q, k, v [B, H, T, D] → [B, H, T, D]
 * @cost   O(B·H·R·T·(log T + chunk·D)) time; memory: {@link attendWindows}
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §2, arXiv:2001.04451
 */
export function bucketAttention(rows: Rows, buckets: Tensor, options: BucketAttentionOptions): BucketAttended {
  const { reach, chunksBack = 1, scale = 1, wraps = false, countsOnce, keyMask, logitsAtATime } = options;
  const { chunk, multiple = chunk } = options;
  const [batch, heads, length] = rows.q.shape as [number, number, number];
  if (!(multiple >= chunk && multiple % chunk === 0))
    throw new RangeError(`bucketAttention: multiple must be one of the chunk ${chunk}, got ${multiple}`);
  if (wraps && countsOnce) throw new RangeError("bucketAttention: countsOnce needs chunks that do not wrap around");
  if (reach.count !== undefined && reach.count > chunksBack * chunk) {
    throw new RangeError(`bucketAttention: ${chunksBack} chunks of ${chunk} hold no ${reach.count} earlier tokens`);
  }
  const whole = reach.acrossBuckets && length <= chunk;
  const cut = whole
    ? { chunk: length, chunksBack: 0, wraps: false, multiple: length }
    : { chunk, chunksBack, wraps, multiple };
  const used = whole ? zeros([batch, heads, 1, length], "int32") : buckets;
  const count = factorsOf(options.buckets).reduce((a, b) => a * b);
  const order = sortIntoChunks(used, count, cut, keyMask);
  const own = { reach, scale, ...present({ countsOnce, logitsAtATime }) };
  const wide = { q: cast(rows.q, "float32"), k: cast(rows.k, "float32"), v: cast(rows.v, "float32") };
  const real = keyMask === undefined ? undefined : reshape(cast(keyMask, "float32"), [batch, 1, length, 1]);
  const sighted = (x: Tensor): Tensor => (real === undefined ? x : mul(x, real));
  const map = () => {
    const { weights, keys } = windowWeights(wide, order, own);
    return { weights: sighted(weights), keys };
  };
  return {
    mixed: cast(sighted(attendWindows(wide, order, own)), rows.v.dtype),
    map,
    roundWeights: () => {
      const { rounds, window } = sizesOf(order);
      const byRound = sum(reshape(map().weights, [batch, heads, length, rounds, window]), { axes: -1 });
      return transpose(byRound, [0, 1, 3, 2]);
    },
  };
}

/**
 * Normalises vectors to length 1: `x / √(Σ x² + D·ε)`, which is Trax's and Hugging Face's root mean square norm divided by √D.
 *
 * @param epsilon ε. Default: 1e-6
 *
 * @shape [..., D] → [..., D]
 */
export function unitVectors(x: Tensor, epsilon = 1e-6): Tensor {
  const wide = cast(x, "float32");
  const squares = sum(square(wide), { axes: -1, keepDims: true });
  return cast(mul(wide, div(1, sqrt(add(squares, epsilon * x.shape.at(-1)!)))), x.dtype);
}
