import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, Layer } from "./layer.ts";
import type { Pattern } from "./pattern.ts";
import type { DecodePlace, LayerState, Losses, SegmentMemory } from "./state.ts";

export type * from "./block.ts";
export type * from "./depth.ts";
export type * from "./layer.ts";
export type * from "./pattern.ts";
export type * from "./state.ts";

/** Where queries and keys stand. */
export type Positions = {
  /** int32 [T], or [B, T] when rows of the batch differ (left padding). */
  readonly query: Tensor;
  /** int32 [S], or [B, S]. */
  readonly key: Tensor;
  /**
   * Known while tracing when queries stand one after the other, from `query` on, and keys in a few such runs: then what
   * depends on distance is computed once for each distance. Absent: look it up pair by pair.
   */
  readonly lines?: {
    readonly query: number;
    readonly keys: readonly { readonly from: number; readonly length: number }[];
  };
  /** The heads whose logits these are, where patterns differ by head; absent: all, in order. */
  readonly heads?: readonly number[];
};

/** What a position scheme does to the logits and, rarely, the values of some queries and keys. */
export type Score = {
  /** logits [B, H, T, S] = scale·q·kᵀ → [B, H, T, S] */
  logits(logits: Tensor, of: { readonly query: Tensor; readonly key: Tensor; readonly scale: number }): Tensor;
  /** Added to what is mixed: weights [B, H, T, S] → [B, H, T, D]. */
  readonly values?: (weights: Tensor) => Tensor;
};

/** Changes attention by position: biases, learned distances, spans. Called for each block of queries that is computed on its own. */
export type ScoreMod<Params = unknown, Own = Params> = {
  init(key: RandomKey): Concrete<Params>;
  /**
   * What one layer takes of the parameters, made ready for all blocks of a pass over so many queries and keys. Absent: all layers
   * take the parameters themselves.
   */
  forLayer?(params: Params, layer: number, pass: { readonly queries: number; readonly keys: number }): Own;
  prepare(own: Own, positions: Positions): Score;
  /** What the parameters cost, to add to the training loss by name. */
  penalty?(params: Params): Losses;
  /** Parameters put back where they may be, after each update. */
  project?(params: Params): Params;
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
  /** How many positions a learned table covers; absent where there is none, and every position has its own vector. */
  readonly length?: number;
  init(key: RandomKey): Concrete<Params>;
  /** positions [T] or [B, T] int32 → [T, C] or [B, T, C] */
  apply(params: Params, positions: Tensor, context?: Context): Tensor;
};

/** Vectors that are added to the input of every layer of a stack. */
export type LayerPositions<Params = unknown> = {
  /** As in {@link PositionEmbedding}. */
  readonly length?: number;
  init(key: RandomKey): Concrete<Params>;
  /** positions [T] or [B, T] int32, the first layer being 0 → [T, C] or [B, T, C] */
  apply(params: Params, layer: number, positions: Tensor): Tensor;
};

/** A way to tell a model about positions: vectors added to the inputs, a change of the logits, or of queries and keys. */
export type PositionScheme = {
  readonly positions?: PositionEmbedding;
  readonly scores?: ScoreMod;
  readonly rotation?: QkTransform;
  readonly layerPositions?: LayerPositions;
};

/** What the queries of one pass may look at, and how position changes what they see. Made once for a stack of layers: {@link look}. */
export type View = {
  readonly pattern: Pattern;
  readonly queries: number;
  readonly keys: number;
  readonly positions: Positions;
  /** How many positions came before the queries (int32 scalar), when keys are cached. */
  readonly offset?: Tensor;
  /** How many of the keys, in front, are those of a memory; positions of these are negative. Default: none. */
  readonly memory?: number;
  /** 1 for real keys, 0 for padding, [B, S]; with a memory [B, S − memory], of the others. */
  readonly keyMask?: Tensor;
  /** Of what the pattern shows, what each query sees: bool [1 or H', 1 or T, S], head h having row `h mod H'`. All of it unless told. */
  readonly visible?: Tensor;
  readonly rotate?: Rotation;
  readonly scores?: (positions: Positions) => Score;
  /** Scores of blocks (`plan.ts`) that the layers share: those whose weights are kept for the gradient. */
  readonly prepared?: ReadonlyMap<unknown, Score>;
  /** Applied to logits and what is visible of them (bool, broadcast); adds −1e30 where hidden unless told. */
  readonly hide?: (logits: Tensor, visible: Tensor) => Tensor;
  /** A query that sees nothing averages over all keys instead of getting 0. */
  readonly blindAverage?: true;
  /** How many queries are computed together; what costs least unless told. */
  readonly queriesPerBlock?: number;
  /**
   * Weights of up to so many pairs of a head are kept for the gradient, 2²⁰ unless told; beyond that they are computed again, which takes
   * a fifth more time and memory for one block instead of all.
   */
  readonly keptPairs?: number;
};

/** Keys and values of the positions so far, with room for `L` of them: each [B, K, L, D]. */
export type KeyValueCache = { key: Tensor; value: Tensor };

/** How a pass sees keys that stand in slots: those that decoding kept of earlier positions, and its own. */
export type Slots = {
  /** What query t of the pass may see of the slots, `keys(t, S)`: what is known while tracing. */
  readonly pattern: Pattern;
  /** Of the pass's queries, and of the keys in all slots. */
  readonly positions: Positions;
  /** As in a {@link View}. */
  readonly visible?: Tensor;
  /** Every query sees something. */
  readonly isSighted?: true;
  /** No key stands farther behind its query than this. */
  readonly reach: number;
  /** Which slots the pass's own keys and values are written into, int32 [T]. Absent: they stand behind the others. */
  readonly rows?: Tensor;
};

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
  readonly apart?: { readonly queries: readonly number[]; readonly weights: Tensor };
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
