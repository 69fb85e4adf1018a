import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, Layer } from "../nn/layer.ts";

/** Where queries and keys stand: int32 [T] and [S], or [B, T] and [B, S] when rows of the batch differ (left padding). */
export type Positions = { readonly query: Tensor; readonly key: Tensor };

/**
 * Changes attention logits by position. `prepare` is called once for a stack of layers, so that what they share (a bias
 * over distances) is computed once; the function it returns is applied in every layer.
 */
export type ScoreMod<Params = unknown> = {
  init(key: RandomKey): Concrete<Params>;
  /** @returns logits [B, H, T, S] → [B, H, T, S] */
  prepare(params: Params, positions: Positions): (logits: Tensor) => Tensor;
};

/** Functions x [B, H, T, D] → [B, H, T, D] for queries and keys, and, rarely, values. */
export type Rotation = {
  readonly query: (q: Tensor) => Tensor;
  readonly key: (k: Tensor) => Tensor;
  readonly value?: (v: Tensor) => Tensor;
};

/** Changes queries and keys by position before their product; shared by the layers of a stack. Has no parameters. */
export type QkTransform = {
  prepare(positions: Positions): Rotation;
};

/** Vectors that are added to the embedded inputs. */
export type PositionEmbedding<Params = unknown> = {
  init(key: RandomKey): Concrete<Params>;
  /** positions [T] or [B, T] int32 → [T, C] or [B, T, C] */
  apply(params: Params, positions: Tensor): Tensor;
};

/** What the queries of one pass may look at, and how position changes what they see. Made once for a stack of layers. */
export type View = {
  /**
   * The same view cut into blocks of queries, each with the span of keys that it sees. Present when that leaves out keys;
   * then masks and scores are those of the blocks.
   */
  readonly blocks?: readonly {
    readonly queries: readonly [from: number, to: number];
    readonly keys: readonly [low: number, high: number];
    readonly view: View;
  }[];
  /** Added to the logits, broadcast to [B, H, T, S]: 0 where visible, very negative where not. */
  readonly mask?: Tensor;
  /** 1 for queries that see any key, 0 for the others, broadcast to [B, H, T, 1]. Absent when all do. */
  readonly seesAny?: Tensor;
  readonly score?: (logits: Tensor) => Tensor;
  readonly rotate?: Rotation;
};

/** Keys and values of the positions so far, with room for `L` of them: each [B, K, L, D]. */
export type KeyValueCache = { key: Tensor; value: Tensor };

export type MixerInput = {
  /** [B, T, C] */
  readonly x: Tensor;
  /** Keys and values of another sequence, from {@link Mixer.keysAndValues}; those of `x` itself unless told. */
  readonly known?: KeyValueCache;
  readonly view: View;
  /** Keys and values of earlier positions, and how many there are (int32 scalar). */
  readonly cache?: { readonly entries: KeyValueCache; readonly length: Tensor };
};

export type MixerOutput = {
  /** [B, T, C] */
  readonly y: Tensor;
  /** [B, H, T, S]; costs nothing unless it is used. */
  readonly probabilities: Tensor;
  /** The cache with this pass's positions written in. */
  readonly cache?: KeyValueCache;
};

/** How positions exchange information. */
export type Mixer<Params> = Layer<Params, [input: MixerInput, context: Context], MixerOutput> & {
  /** The keys and values of a sequence [B, S, C] that others will look at. */
  keysAndValues(params: Params, source: Tensor, view: View): KeyValueCache;
  /** Extents of a key/value cache entry but for batch and length: `[K, D]`. */
  readonly cacheShape: readonly [keyValueHeads: number, headWidth: number];
};
