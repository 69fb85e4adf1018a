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
  /** What the layer keeps, as the call before left it; each sort is absent where nothing is kept. */
  readonly state?: LayerState;
  /** Present in decoding: `x` goes on behind earlier positions. */
  readonly place?: DecodePlace;
  /** What the block does to the stream before it is mixed; a memory keeps the stream as it came. Default: nothing, the stream is `x`. */
  readonly stream?: { readonly x: Tensor; readonly norm: (x: Tensor) => Tensor };
};

/** Where attention went. */
export type AttentionMap = {
  /** [B, H, T, W] */
  readonly weights: Tensor;
  /**
   * The key position of each weight, int32, broadcast to [B, H, T, W]; what stands beside a weight of zero means nothing.
   * Absent: weight w is that of key w.
   */
  readonly keys?: Tensor;
  /** Queries that see far more than the others: weights [B, H, G, S] over all keys stand here, and those above mean nothing. */
  readonly apart?: {
    /** Their positions: the same for all rows, or int32 [B, G] with −1 where a row has fewer. */
    readonly queries: readonly number[] | Tensor;
    readonly weights: Tensor;
  };
};

export type MixerOutput = {
  /** [B, T, C] */
  readonly y: Tensor;
  /** What the layer keeps after this call, of the sorts that went in. */
  readonly state?: LayerState;
  /** What the layer wants added to the training loss. */
  readonly losses?: Losses;
  /** What each query looked at. Computed when called, never larger than what the mixer itself computes, save where it says so. */
  readonly map?: () => AttentionMap;
};

/** How a causal mixer goes on from what earlier positions left behind. */
export type Recurrent<Params, State = unknown> = {
  /**
   * The decode state before the first position. Mixers whose state does not grow ignore `capacity`, the most positions there will be.
   *
   * @param training the mixer's training state. Default: as {@link Mixer.initTrainingState} starts it
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

/** What is known of a mixer before it runs. Models read it when they are put together. */
export type MixerTraits = {
  /** As errors call it. */
  readonly name: string;
  /**
   * What its outputs depend on. `pattern`: on what the view's pattern shows, and nothing else. `earlier`: on positions of its own choice, none
   * of them after the query; it reads no pattern. `all`: on later positions, too, if only because they have a say in which earlier ones are
   * looked at; it reads no pattern, and no causal model takes it.
   */
  readonly sees: "pattern" | "earlier" | "all";
  /** Whether it reads from the view which tokens of a row are global. Default: it does not. */
  readonly readsGlobals?: true;
};

/** How positions exchange information. */
export type Mixer<Params = unknown> = Layer<Params, [input: MixerInput, context: Context], MixerOutput> &
  MixerTraits & {
    /** Absent where it cannot go on position by position. */
    readonly recurrent?: Recurrent<Params>;
    /** The start of the training state: running centroids, drawn features. Absent: it has none. */
    initTrainingState?(key: RandomKey): Concrete<unknown>;
    /** What each row remembers of what it read before. Absent: nothing. */
    readonly segment?: SegmentMemory;
  };

/** A mixer whose decode state is keys and values, one for each position; `apply` itself reads any number of positions behind others. */
export type SoftmaxMixer<Params> = Mixer<Params> & {
  /** The keys and values of a sequence [B, S, C] that others will look at. */
  keysAndValues(params: Params, source: Tensor, view: Pick<View, "rotate">): KeyValueCache;
  /** Extents of a key/value cache entry but for batch and length: `[K, D]`. */
  readonly cacheShape: readonly [keyValueHeads: number, headWidth: number];
};
