import type { Tensor } from "@tsformers/engine";
import type { Pattern } from "./pattern.ts";
import type { Positions, Rotation, Score } from "./position.ts";

/** What the queries of one pass may look at, and how position changes what they see. Made once for a stack, by `makeView`. */
export type View = {
  readonly pattern: Pattern;
  readonly queries: number;
  readonly keys: number;
  readonly positions: Positions;
  /** Number of positions before the queries (int32 scalar), if keys are cached. */
  readonly offset?: Tensor;
  /** Number of leading keys that belong to a memory; their positions are negative. Default: 0. */
  readonly memory?: number;
  /** 1 for real keys, 0 for padding: [B, S], or [B, S − memory] for the keys after a memory. */
  readonly keyMask?: Tensor;
  /** 1 for global tokens, 0 for others, [B, S]; used by mixers with `readsGlobals`. Default: those the mixer was made with. */
  readonly globals?: Tensor;
  /**
   * Further mask on what the pattern shows: bool [1 or H', 1 or T, S], head h having row `h mod H'`; [B, 1, T, S] where rows of the batch
   * differ. Default: no further mask.
   */
  readonly visible?: Tensor;
  /**
   * 1 for positions of the document that the last query belongs to, int32 [B, M + T], M being all that a memory holds: it keeps no others.
   * Default: all positions.
   */
  readonly current?: Tensor;
  readonly rotate?: Rotation;
  readonly scores?: (positions: Positions) => Score;
  /** Scores of blocks (`plan.ts`) that the layers share: those of blocks whose weights are kept for the gradient. */
  readonly prepared?: ReadonlyMap<unknown, Score>;
  /** Masks logits, given a visibility mask (bool, broadcast). Default: adds −1e30 where hidden. */
  readonly hide?: (logits: Tensor, visible: Tensor) => Tensor;
  /** A query that sees no key averages over all keys instead of getting 0. */
  readonly blindAverage?: true;
  /** Queries in a block. Default: the number that costs least. */
  readonly queriesPerBlock?: number;
  /**
   * The most pairs of a head whose weights are kept for the gradient. With more, weights are recomputed, which takes a fifth more time,
   * and memory for one block instead of all. Default: 2²⁰.
   */
  readonly keptPairs?: number;
};

/** Keys and values of the positions so far, with room for `L` of them: each [B, K, L, D]. */
export type KeyValueCache = { key: Tensor; value: Tensor };

/** How a pass sees keys in slots: those kept of earlier positions, and its own. */
export type Slots = {
  /** Which slots query t of the pass may see, `keys(t, S)`, as far as known while tracing. */
  readonly pattern: Pattern;
  /** Positions of the pass's queries, and of the keys in all slots. */
  readonly positions: Positions;
  /** As in a {@link View}. */
  readonly visible?: Tensor;
  /** Every query sees at least one key. */
  readonly isSighted?: true;
  /** The largest distance from a query back to a key. */
  readonly reach: number;
  /** Slots that the pass's own keys and values are written into, int32 [T]. Absent: they follow the other slots. */
  readonly rows?: Tensor;
};
