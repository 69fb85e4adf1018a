import type { Concrete, NDArray, RandomKey, Tensor } from "@tsformers/engine";
import type { Pattern } from "../attention/patterns/pattern.ts";
import type { StackCache, StackPast } from "../depth/stack.ts";
import type { AttentionMap, KeyValueCache } from "../kinds/index.ts";
import type { Context } from "../kinds/layer.ts";

export type LanguageModelInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  /** Further symbols whose vectors are added, int32 [B, T]; GPT-2 and CTRL can mark segments that way. */
  readonly types?: Tensor;
  /** int32 [B, T], when they are not 0, 1, 2, … */
  readonly positions?: Tensor;
  readonly cache?: StackCache;
  /** What earlier positions left in each layer, when `tokens` is one position; from {@link LanguageModel.startPast}. */
  readonly past?: StackPast & { readonly capacity: number };
};

export type LanguageModelOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Input of the first block, then the output of each, [B, T, C]; the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** What each layer looked at. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  readonly cache?: readonly KeyValueCache[];
  /** What the mixers want added to the training loss. */
  readonly loss?: Tensor;
  /** What `params.carried` becomes after this pass of training. */
  readonly carried?: unknown;
  /** What this position leaves in each layer, when a past went in. */
  readonly past?: readonly unknown[];
  /** How `logits` come from the last of `hidden`, for any positions of it: [..., C] → [..., V]. */
  readonly toLogits?: (x: Tensor) => Tensor;
};

/** A model that gives logits over a vocabulary at every position. */
export type LanguageModel<Params = unknown> = {
  readonly vocabularySize: number;
  /** How many positions its learned tables cover: nothing is written beyond. Absent: any number. */
  readonly maxLength?: number;
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: LanguageModelInput, context: Context): LanguageModelOutput;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
  /** What each layer sees; all that came before unless told. */
  readonly patterns?: readonly Pattern[];
  /** An empty key/value cache with room for `capacity` positions. */
  emptyCache(batch: number, capacity: number): { key: NDArray; value: NDArray }[];
  /**
   * What stands for earlier positions before the first, in each layer. Present when some layer keeps something else than keys and
   * values, and all can go on position by position.
   *
   * @param slots for each layer, how many keys and values it keeps if it is those that it keeps; `capacity` unless told
   */
  startPast?(params: Concrete<Params>, batch: number, capacity: number, slots?: readonly number[]): readonly unknown[];
};
