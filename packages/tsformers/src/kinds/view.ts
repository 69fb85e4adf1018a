import type { Tensor } from "@tsformers/engine";
import type { Pattern } from "./pattern.ts";
import type { Positions, Rotation, Score } from "./position.ts";

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
  /**
   * 1 for tokens that see all and that all see, 0 for the others, [B, S]. Read by mixers that say so ({@link MixerTraits}). Default: those
   * that the mixer was made with.
   */
  readonly globals?: Tensor;
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
