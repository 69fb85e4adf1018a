import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { AttentionMap } from "../kinds/index.ts";
import type { Context } from "../kinds/layer.ts";

export type MaskedLanguageModelInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  /** Which segment a token belongs to, int32 [B, T]; all the first unless told. */
  readonly types?: Tensor;
  /** int32 [B, T], when they are not 0, 1, 2, … */
  readonly positions?: Tensor;
};

export type MaskedLanguageModelOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Input of the first block, then the output of each, [B, T, C]. */
  readonly hidden: readonly Tensor[];
  /** What each layer looked at. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** A summary of each row, [B, C], where the model has one. */
  readonly pooled?: Tensor;
  /** Logits of "the second segment follows the first" and "it does not", [B, 2], where the model has them. */
  readonly nextSentence?: Tensor;
};

/** A model that gives logits over a vocabulary at every position, seeing both sides. */
export type MaskedLanguageModel<Params = unknown> = {
  readonly vocabularySize: number;
  /** How many positions it has learned; absent where it knows any. */
  readonly maxLength?: number;
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: MaskedLanguageModelInput, context: Context): MaskedLanguageModelOutput;
};
