import {
  type Concrete,
  cast,
  constant,
  kept,
  mul,
  normal,
  randomKey,
  randomNormal,
  reshape,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, View } from "../../kinds/index.ts";
import { type Context, evaluation } from "../../kinds/layer.ts";
import { within } from "../../nn/dropout.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { exactCount, passCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { bucketAttention, unitVectors } from "./bucket-attention.ts";
import { type LshState, startLsh, stepLsh } from "./lsh-decode.ts";
import { type BucketCount, factorsOf, lshBuckets, usualBuckets } from "./lsh-hash.ts";
import { earlierInChunks, ownBucket, type Reach, sameBucket, wholeChunks } from "./lsh-reach.ts";
import type { Rows } from "./lsh-windows.ts";

export type LshAttentionParams = { queryKey: LinearParams; value: LinearParams; out: LinearParams };

export type LshAttentionOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** Number of buckets; `usualBuckets(length, chunk)` is a good choice for sequences of up to `length`. */
  readonly buckets: BucketCount;
  /** Rounds of hashing. Default: 2. */
  readonly rounds?: number;
  /** Tokens in a chunk. Default: 64. */
  readonly chunk?: number;
  readonly chunksBack?: number;
  /** Which tokens a query looks at. Default: the last `chunk` tokens of its bucket when causal, otherwise whole chunks. */
  readonly reach?: Reach;
  readonly wraps?: true;
  readonly multiple?: number;
  readonly countsOnce?: true;
  /** Factor of the logits. Default: 1, as in Trax and Hugging Face; lucidrains has 1/√headWidth. */
  readonly scale?: number;
  /** ε of {@link unitVectors}, which normalises keys. */
  readonly keyEpsilon?: number;
  /** Seed of the rotations in evaluation and decoding; training draws new ones at each pass. Default: 0. */
  readonly seed?: number;
  /** The rotations of a pass, [H, rounds, half the sum of the buckets' factors, D]. Default: drawn as `seed` says. */
  readonly rotations?: (context: Context) => Tensor;
};

/** Defaults of LSH attention wherever it is used. */
export const lshDefaults: { readonly rounds: number; readonly chunk: number; readonly seed: number } = {
  rounds: 2,
  chunk: 64,
  seed: 0,
};

const refusals = { scores: "its queries and keys are sorted by bucket, not by position" };

/**
 * Attention among similar tokens only, found by hashing: one projection gives the queries and, normalised to length 1, the keys. See
 * {@link lshBuckets} for the hash and {@link bucketAttention} for the rest.
 *
 * Causal: by default a query looks at the last `chunk` tokens of its own bucket ({@link ownBucket}), and decoding step by step
 * equals the parallel form. Trax and Hugging Face look at whole chunks ({@link earlierInChunks}), where later tokens decide which
 * earlier ones share a chunk, which no decoding can know. Under that reach decoding looks at the last `2·chunk` tokens of the bucket
 * instead, which is the same under {@link sameBucket} as long as no bucket has more tokens than a chunk.
 *
 * Rotary positions rotate queries and keys after hashing, so that similar tokens share a bucket whatever their distance. Buckets are
 * marked `kept`, so that reversible blocks, which recompute their layers, see the same ones.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·R·T·(log T + chunk·D)) time, O(B·T·C) memory; decoding O(B·H·R·chunk·D) a token with a key/value cache
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §2, arXiv:2001.04451
 * @differs `wraps` and the causal reach, see above; no dropout of attention weights
 */
export function lshAttention(options: LshAttentionOptions): Mixer<LshAttentionParams> {
  const { heads, causal, buckets, chunksBack = 1, scale = 1 } = options;
  const { rounds, chunk, seed } = { ...lshDefaults, ...options };
  const { wraps, multiple, countsOnce, keyEpsilon } = options;
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("lsh attention", options);
  const reach = options.reach ?? (causal ? ownBucket(chunk * chunksBack) : wholeChunks);
  if (reach.causal !== causal)
    throw new RangeError(`lsh attention: causal is ${causal}, but its reach has causal ${reach.causal}`);
  const factors = factorsOf(buckets);
  const frame = [heads, rounds, factors.reduce((a, b) => a + b, 0) / 2, headWidth];
  const fixed = () => constant(normal(randomKey(seed), frame));
  const drawn = (context: Context): Tensor => {
    if (options.rotations !== undefined) return options.rotations(context);
    const { key } = within(context, "rotations");
    return key === undefined ? fixed() : randomNormal(key, frame);
  };
  const look = (params: LshAttentionParams, x: Tensor, { rotate }: View): { raw: Tensor; rows: Rows } => {
    const raw = toHeads(params.queryKey, x);
    const v = toHeads(params.value, x);
    const k = unitVectors(raw, keyEpsilon);
    return { raw, rows: { q: rotate?.query(raw) ?? raw, k: rotate?.key(k) ?? k, v: rotate?.value?.(v) ?? v } };
  };
  const check = (view: View): void => requireSupport("lsh attention", view, refusals);

  const recurrent: Recurrent<LshAttentionParams, LshState> = {
    start: (batch, capacity) =>
      startLsh(batch, capacity, {
        heads,
        headWidth,
        rounds,
        buckets: factors.reduce((a, b) => a * b) + 1,
        window: reach.count ?? (chunksBack + 1) * chunk,
      }),
    step: (params, x, state, { position, view }) => {
      check(view);
      const mask = maskAt(view.keyMask, position);
      const { raw, rows } = look(params, x, view);
      const own = lshBuckets(raw, fixed(), buckets, mask);
      const { mixed, state: next } = stepLsh(state, rows, own, { position, scale, ...present({ countsOnce }) });
      const y = mask === undefined ? mixed : mul(mixed, reshape(cast(mask, mixed.dtype), [-1, 1, 1, 1]));
      return { y: fromHeads(params.out, y, evaluation), state: next };
    },
  };

  return {
    name: "lsh attention",
    // Without a count per bucket the reach is by chunks, whose bounds shift when later tokens sort in front.
    sees: causal && reach.count !== undefined ? "earlier" : "all",
    init: (key): Concrete<LshAttentionParams> => {
      const [q, v, o] = splitKey(key, 3);
      return { queryKey: initHeads(q!), value: initHeads(v!), out: initOut(o!) };
    },
    apply: (params, input, context) => {
      oneSequence("lsh attention", input);
      const { x, view } = input;
      const { keyMask } = view;
      check(view);
      const { raw, rows } = look(params, x, view);
      const own = kept(lshBuckets(raw, drawn(context), buckets, keyMask));
      const attended = bucketAttention(rows, own, {
        reach,
        buckets,
        chunk,
        chunksBack,
        scale,
        ...present({ wraps, multiple, countsOnce, keyMask }),
      });
      return { y: fromHeads(params.out, attended.mixed, context), map: attended.map };
    },
    ...(causal && { recurrent: recurrent as unknown as Recurrent<LshAttentionParams, never> }),
  };
}

export type LshAttentionSettings = {
  readonly rounds?: number;
  readonly chunk?: number;
  readonly buckets?: number | readonly number[];
  readonly sees?: "own bucket" | "chunks";
  readonly countsOnce?: boolean;
  readonly scaled?: boolean;
  readonly seed?: number;
};

export const lshEntry: MixerEntry<"lsh", LshAttentionSettings> = /* @__PURE__ */ mixerEntry({
  name: "lsh",
  title: "LSH attention",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer: The Efficient Transformer, arXiv:2001.04451",
  summary: "attention within buckets of alike tokens, found by hashing and sorting (Reformer)",
  formula: "h(x) = argmax([xR; −xR]); y_i = Σ_r Σ_{j ∈ P_i^r} exp(q_i·k_j) v_j / Z_i, k = q/|q|",
  cost: "O(n·log n·r + n·r·c·d) time, O(n·d) memory",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  refuses: refusals,
  decodeState: "grows",
  options: () =>
    z.strictObject({
      rounds: passCount().default(lshDefaults.rounds).describe("how often tokens are hashed and sorted"),
      chunk: positionCount().default(lshDefaults.chunk).describe("tokens in a chunk of the sorted order"),
      buckets: z
        .union([positionCount().multipleOf(2), z.array(positionCount().multipleOf(2)).min(1)])
        .optional()
        .describe("how many buckets, or even factors of it. Default: about two for each chunk of the longest sequence"),
      sees: z
        .enum(["own bucket", "chunks"])
        .optional()
        .describe(
          "its bucket only, or all of its chunk and the one before; causal chunks let later tokens choose what earlier ones see. " +
            "Default: own bucket where causal, otherwise chunks",
        ),
      countsOnce: z.boolean().default(false).describe("counts a key once that is met in several rounds"),
      scaled: z.boolean().default(false).describe("divides logits by √d, though keys have unit length"),
      seed: exactCount(0).default(lshDefaults.seed).describe("of the rotations of evaluation and decoding"),
    }),
  make: ({ rounds, chunk, buckets, sees, countsOnce, scaled, seed }, context) => {
    const { causal, modelWidth, heads } = context;
    const inChunks = causal ? earlierInChunks : wholeChunks;
    const inBucket = causal ? ownBucket(chunk) : sameBucket(wholeChunks);
    return lshAttention({
      ...context,
      rounds,
      chunk,
      buckets: buckets ?? usualBuckets(context.length, chunk),
      reach: (sees ?? (causal ? "own bucket" : "chunks")) === "chunks" ? inChunks : inBucket,
      ...(countsOnce && { countsOnce }),
      scale: scaled ? Math.sqrt(heads / modelWidth) : 1,
      seed,
    });
  },
});
