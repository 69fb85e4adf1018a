import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { Pattern } from "../attention/patterns/pattern.ts";
import type { Context, Layer } from "./layer.ts";

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
  /** What the parameters cost, a scalar to add to the training loss. */
  penalty?(params: Params): Tensor;
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

/** What the queries of one pass may look at, and how position changes what they see. Made once for a stack of layers: {@link look}. */
export type View = {
  readonly pattern: Pattern;
  readonly queries: number;
  readonly keys: number;
  readonly positions: Positions;
  /** How many positions came before the queries (int32 scalar), when keys are cached. */
  readonly offset?: Tensor;
  /** 1 for real keys, 0 for padding, [B, S]. */
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
  /** Keys and values of another sequence, from {@link SoftmaxMixer.keysAndValues}; those of `x` itself unless told. */
  readonly known?: KeyValueCache;
  readonly view: View;
  /**
   * Keys and values of earlier positions, absent where there are none, and how many positions those were (int32 scalar). Position i
   * stands in slot i unless `slots` tell.
   */
  readonly cache?: {
    readonly entries?: KeyValueCache | undefined;
    readonly length: Tensor;
    readonly slots?: Slots | undefined;
  };
  /** What the mixer {@link Mixer.initTrainingState}, as the pass before left it; its start unless told. */
  readonly carried?: unknown;
  /**
   * The mixer's {@link Recurrent} state: x is the one position that follows, and `position` is where it stands. `slots` tell of keys and
   * values that stand elsewhere than in the slots of their positions.
   */
  readonly past?: { readonly state: unknown; readonly position: Tensor; readonly slots?: Slots | undefined };
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
  /** What each query looked at. Computed when called, never larger than what the mixer itself computes, save where it says so. */
  readonly map?: () => AttentionMap;
  /** Scalar to add to the training loss, its weight included. */
  readonly loss?: Tensor;
  /** What the mixer {@link Mixer.initTrainingState}, after this pass. */
  readonly carried?: unknown;
  /** The cache with this pass's positions written in, or behind it. */
  readonly cache?: KeyValueCache;
  /** The state after this position, when one went in. */
  readonly past?: unknown;
};

/** How a causal mixer goes on from what earlier positions left behind. */
export type Recurrent<Params, State = unknown> = {
  /**
   * The state before the first position. Mixers whose state does not grow ignore `capacity`, the most positions there will be.
   *
   * @param carried what the mixer {@link Mixer.initTrainingState}, as training left it; its start unless told
   */
  start(batch: number, capacity: number, carried?: unknown): Concrete<State>;
  /** x [B, 1, C] at `position` (int32 scalar) → y [B, 1, C]; equal to row `position` of the parallel form. */
  step(
    params: Params,
    x: Tensor,
    state: State,
    at: { readonly position: Tensor; readonly view: View; readonly slots?: Slots | undefined },
  ): { readonly y: Tensor; readonly state: State };
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
    /** The start of state that goes from one training step to the next without gradients: running centroids, drawn features. */
    initTrainingState?(key: RandomKey): Concrete<unknown>;
  };

/** A mixer whose past is keys and values, one for each position. */
export type SoftmaxMixer<Params> = Mixer<Params> & {
  /** The keys and values of a sequence [B, S, C] that others will look at. */
  keysAndValues(params: Params, source: Tensor, view: Pick<View, "rotate">): KeyValueCache;
  /** Extents of a key/value cache entry but for batch and length: `[K, D]`. */
  readonly cacheShape: readonly [keyValueHeads: number, headWidth: number];
};
