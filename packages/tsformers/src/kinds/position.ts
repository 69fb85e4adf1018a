import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, Losses } from "./layer.ts";

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

/** Of which queries [B, H, T, D] and keys [B, K, S, D] logits are, and how. */
export type LogitsOf = {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly scale: number;
  /** Products are within ± this. Absent: they have no bound. */
  readonly cap?: number;
};

/** What a position scheme does to the logits and, rarely, the values of some queries and keys. */
export type Score = {
  /** logits [B, H, T, S] = scale·q·kᵀ, capped where attention has a cap → [B, H, T, S] */
  logits(logits: Tensor, of: LogitsOf): Tensor;
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
  /** How far back each head of a layer sees with these parameters, in positions: beyond, its weights are 0. Absent: they set no end. */
  spans?(params: Concrete<Params>, layer: number): readonly number[];
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
