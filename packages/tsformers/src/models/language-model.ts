import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { BlockTraits, Context, DepthOutput, Pattern, Slots } from "../kinds/index.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";

export type TokensInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  /** 1 for tokens that see all and that all see, 0 for the others, [B, T]. Default: those that the mixers were made with. */
  readonly globals?: Tensor;
  /** Which segment a token belongs to, int32 [B, T]. Default: all the first. */
  readonly types?: Tensor;
  /** int32 [B, T], when they are not 0, 1, 2, … */
  readonly positions?: Tensor;
  /** Present in decoding: what earlier positions left in each layer. */
  readonly decode?: DecodeLayers;
  /** What each row remembers of earlier segments. Default: nothing. */
  readonly segment?: SegmentLayers;
};

export type DecodeLayers = {
  /** Of each layer, from `startDecoding`; none before the first position where all layers keep keys and values. */
  readonly layers: readonly unknown[];
  /** How many positions came before, int32 scalar. */
  readonly position: Tensor;
  /** How many positions there is room for. */
  readonly capacity: number;
  /** Where each layer keeps keys and values. Default: position i in slot i. */
  readonly slots?: readonly Slots[] | undefined;
};

export type SegmentLayers = {
  /** Of each layer, from `startSegments`. */
  readonly layers: readonly unknown[];
  /** 1 for rows whose document begins here: their memory starts again. float32 [B]. Default: no row. */
  readonly fresh?: Tensor;
};

/** What a model is, whatever it gives out. */
export type TokenModel<Params, Output> = {
  readonly vocabularySize: number;
  /** How many positions its learned tables cover: nothing is read or written beyond. Absent: any number. */
  readonly maxLength?: number;
  /** Whether outputs depend on earlier inputs only. */
  readonly causal: boolean;
  /** What each layer says of its mixer: what decoding and memories keep follows from it. */
  readonly layers: readonly BlockTraits[];
  /** What each layer sees in decoding. */
  readonly patterns: readonly Pattern[];
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: TokensInput, context: Context): Output;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
};

/** Tokens to vectors: everything of a model but its head. */
export type TokenBody<Params = unknown> = TokenModel<Params, DepthOutput> & {
  /** Features of its output. */
  readonly width: number;
  /** The token embedding, for heads that are tied to it. */
  embeddingOf(params: Params): EmbeddingParams;
};

export type LanguageModelOutput = DepthOutput & {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** How `logits` come from `x`, for any positions of it: [..., C] → [..., V]. */
  readonly toLogits?: (x: Tensor) => Tensor;
  /** A summary of each row, [B, C], where the model has one. */
  readonly pooled?: Tensor;
  /** Logits of "the second segment follows the first" and "it does not", [B, 2], where the model has them. */
  readonly nextSentence?: Tensor;
};

/** A model that gives logits over a vocabulary at every position. */
export type LanguageModel<Params = unknown> = TokenModel<Params, LanguageModelOutput> & {
  /** Everything but the head that gives logits: other heads can stand on it. It takes the same parameters. */
  readonly body: TokenBody;
};
