import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, Layer, Losses } from "./layer.ts";
import type { DecodePlace, LayerState, SegmentMemory } from "./state.ts";
import type { KeyValueCache, View } from "./view.ts";

export type MixerInput = {
  /** [B, T, C] */
  readonly x: Tensor;
  readonly view: View;
  /** Keys and values of another sequence, from {@link SoftmaxMixer.keysAndValues}. Default: those of `x`. */
  readonly cross?: KeyValueCache;
  /** State of the layer from the previous call; a sort is absent where nothing is kept. */
  readonly state?: LayerState;
  /** Present in decoding: `x` follows earlier positions. */
  readonly place?: DecodePlace;
  /** The residual stream before the block's norm, and that norm; memories store the stream. Default: the stream is `x`, without norm. */
  readonly stream?: { readonly x: Tensor; readonly norm: (x: Tensor) => Tensor };
};

/** Attention weights, and the keys that they belong to. */
export type AttentionMap = {
  /** [B, H, T, W] */
  readonly weights: Tensor;
  /**
   * The key position of each weight, int32, broadcast to [B, H, T, W]; ignore it where the weight is 0.
   * Absent: weight w belongs to key w.
   */
  readonly keys?: Tensor;
  /** Queries that see far more than the others: their weights over all keys, [B, H, G, S], replace those in `weights`. */
  readonly apart?: {
    /** Positions of these queries: the same in all rows, or int32 [B, G] with −1 where a row has fewer than G. */
    readonly queries: readonly number[] | Tensor;
    readonly weights: Tensor;
  };
};

export type MixerOutput = {
  /** [B, T, C] */
  readonly y: Tensor;
  /** State of the layer after this call, of the sorts that were passed in. */
  readonly state?: LayerState;
  /** Losses to add in training. */
  readonly losses?: Losses;
  /** The attention map, computed when called; no larger than the mixer's own intermediate results, except where it says so. */
  readonly map?: () => AttentionMap;
};

/** How a causal mixer decodes position by position. */
export type Recurrent<Params, State = unknown> = {
  /**
   * The decode state before the first position. `capacity` is the most positions there will be; constant-size states ignore it.
   *
   * @param training the mixer's training state. Default: that of {@link Mixer.initTrainingState} for seed 0
   */
  start(batch: number, capacity: number, training?: unknown): Concrete<State>;
  /** x [B, 1, C] at `position` (int32 scalar) → y [B, 1, C]; equal to row `position` of the parallel form. */
  step(
    params: Params,
    x: Tensor,
    state: State,
    at: DecodePlace & { readonly view: View },
  ): {
    readonly y: Tensor;
    readonly state: State;
  };
};

/** Properties of a mixer that are known before it runs; models read them when they are built. */
export type MixerTraits = {
  /** Its name in errors. */
  readonly name: string;
  /**
   * What its outputs depend on. `pattern`: exactly the positions that the view's pattern shows. `earlier`: positions of its own choice,
   * none of them after the query; it ignores the pattern. `all`: later positions, too, if only because they influence which earlier ones are
   * looked at; it ignores the pattern, and causal models reject it.
   */
  readonly sees: "pattern" | "earlier" | "all";
  /** Whether it reads the view's `globals`. Default: no. */
  readonly readsGlobals?: true;
  /**
   * The parameters of a layer, completed with what the mixers of a stack share: `first` are those of the first layer that has such a mixer.
   * Default: nothing is shared.
   */
  shareParams?(own: unknown, first: unknown): unknown;
};

/** How positions exchange information. */
export type Mixer<Params = unknown> = Layer<Params, [input: MixerInput, context: Context], MixerOutput> &
  MixerTraits & {
    /** Decoding position by position. Absent: not possible. */
    readonly recurrent?: Recurrent<Params>;
    /** The initial training state: running centroids, drawn features. Absent: it has none. */
    initTrainingState?(key: RandomKey): Concrete<unknown>;
    /** The memory of what each row read in earlier calls. Absent: none. */
    readonly segment?: SegmentMemory;
  };

/** A mixer whose decode state is a key/value cache; its `apply` itself decodes any number of positions. */
export type SoftmaxMixer<Params> = Mixer<Params> & {
  /** Keys and values of a sequence [B, S, C], for cross-attention. */
  keysAndValues(params: Params, source: Tensor, view: Pick<View, "rotate">): KeyValueCache;
  /** Shape of a key/value cache entry without batch and length: `[K, D]`. */
  readonly cacheShape: readonly [keyValueHeads: number, headWidth: number];
};
