import type { Concrete, NDArray, RandomKey, Tensor } from "@tsformers/engine";
import type { KeyValueCache } from "../attention/kinds.ts";
import type { Context } from "../nn/layer.ts";

export type LanguageModelInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  /** Further symbols whose vectors are added, int32 [B, T]; GPT-2 and CTRL can mark segments that way. */
  readonly types?: Tensor;
  /** int32 [B, T], when they are not 0, 1, 2, … */
  readonly positions?: Tensor;
  /** Keys and values of every layer, and how many positions they hold (int32 scalar). */
  readonly cache?: { readonly layers: readonly KeyValueCache[]; readonly length: Tensor };
};

export type LanguageModelOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Input of the first block, then the output of each, [B, T, C]; the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** Attention probabilities of each layer, [B, H, T, S]. Cost nothing unless used. */
  readonly probabilities: readonly Tensor[];
  readonly cache?: readonly KeyValueCache[];
};

/** A model that gives logits over a vocabulary at every position. */
export type LanguageModel<Params = unknown> = {
  readonly vocabularySize: number;
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: LanguageModelInput, context: Context): LanguageModelOutput;
  /** An empty key/value cache with room for `capacity` positions. */
  emptyCache(batch: number, capacity: number): { key: NDArray; value: NDArray }[];
};
