import { type Concrete, cast, type RandomKey, type Tensor } from "@tsformers/engine";
import type { BlockTraits, Context, DepthOutput, Layer, Losses, Pattern, Slots } from "../kinds/index.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";

/** What stands at the positions of rows. */
export type RowContent =
  | {
      /** int32 [B, T] */
      readonly tokens: Tensor;
      readonly vectors?: undefined;
    }
  | {
      readonly tokens?: undefined;
      /** Vectors in place of those that tokens would have, before segments and positions are added: real values, [B, T, E]. */
      readonly vectors: Tensor;
    };

export type TokensInput = RowContent & {
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  /** 1 for global tokens, 0 for others, [B, T]. Default: those the mixers were made with. */
  readonly globals?: Tensor;
  /** Segment of each token, int32 [B, T]. Default: 0 for all. */
  readonly types?: Tensor;
  /** Positions, int32 [B, T]. Default: 0, 1, 2, … */
  readonly positions?: Tensor;
  /** Tokens that followed contexts like that of each position, int32 [B, T, k], for models that read them. Default: none. */
  readonly neighbours?: Tensor;
  /** Decode state of the layers; present in decoding only. */
  readonly decode?: DecodeLayers;
  /** Segment memories of the layers. Default: empty. */
  readonly segment?: SegmentLayers;
};

export type DecodeLayers = {
  /** Decode state of each layer, from `startDecoding`. Empty before the first position if all layers keep keys and values. */
  readonly layers: readonly unknown[];
  /** Number of positions before this pass, int32 scalar. */
  readonly position: Tensor;
  /** Number of positions there is room for. */
  readonly capacity: number;
  /** Slots of each layer's keys and values. Default: position i in slot i. */
  readonly slots?: readonly Slots[] | undefined;
};

export type SegmentLayers = {
  /** Memory of each layer, from `startSegments`. */
  readonly layers: readonly unknown[];
  /**
   * 1 where a document begins, float32: [B] at the first position of a row, whose memory is then cleared, or [B, T] at any position,
   * from which nothing before is seen. Default: no document begins.
   */
  readonly fresh?: Tensor;
};

/** The parameters that spans are read from. */
export type SpanParams = { readonly scores?: Concrete<unknown> };

/** What all models over tokens have in common, whatever their output. */
export type TokenModel<Params, Output> = {
  readonly vocabularySize: number;
  /** Positions of its learned tables, the most it can read or write. Absent: no limit. */
  readonly maxLength?: number;
  /** Whether outputs depend only on the inputs up to their position. */
  readonly causal: boolean;
  /** Traits of each layer's mixer, from which the decode state and memories follow. */
  readonly layers: readonly BlockTraits[];
  /** The pattern of each layer in decoding. */
  readonly patterns: readonly Pattern[];
  /** Paths of parameters that a model need not have for this one to start from it: those of a part that it adds. Absent: none. */
  readonly addedParams?: readonly string[];
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: TokensInput, context: Context): Output;
  /** Projects parameters back into their allowed range after each update. Absent: no constraints. */
  project?(params: Params): Params;
  /** How far back each head of each layer sees with these parameters, [N][H], in positions. Absent: parameters set no end. */
  spans?(params: SpanParams): readonly (readonly number[])[];
};

/** Makes k vectors of all those of a row: x [B, T, C], and which positions are real [B, T], → [B, k, C]. */
export type Pool = (vectors: number) => Layer<unknown, [x: Tensor, mask: Tensor | undefined, context: Context]>;

/** Tokens to vectors: a model without its head. */
export type TokenBody<Params = unknown> = TokenModel<Params, DepthOutput> & {
  /** The model for parameters with these spans: the same outputs, without computing keys that no head of a layer sees. Present with `spans`. */
  trimmed?(spans: readonly (readonly number[])[]): TokenBody<Params>;
  /** C, features of its output. */
  readonly width: number;
  /** E, features of a token's vector, and so of the vectors that it reads in their place; C in most models. */
  readonly embeddingWidth: number;
  /** How it tells something of a row as a whole, with parameters that stand beside those of the head that reads it. Absent: as the head does. */
  readonly pool?: Pool;
  /** The token embedding, for tied heads. */
  embeddingOf(params: Params): EmbeddingParams;
};

export type LanguageModelOutput = DepthOutput & {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Computes logits from any positions of `x`: [..., C] → [..., V]. */
  readonly toLogits?: (x: Tensor) => Tensor;
  /** A summary of each row, [B, C], if the model has one. */
  readonly pooled?: Tensor;
  /** Logits of "the second segment follows the first" and "it does not", [B, 2], if the model has them. */
  readonly nextSentence?: Tensor;
};

/** What a batch asks of a model at every position. */
export type Targets = {
  /** int32 [B, T] */
  readonly targets: Tensor;
  /** Of each target, float32 [B, T]; 0 where nothing is asked. */
  readonly weights: Tensor;
};

/** A model with logits over a vocabulary at every position. */
export type LanguageModel<Params = unknown> = TokenModel<Params, LanguageModelOutput> & {
  /** Losses that training adds, given what a pass put out and what was asked of it: those of earlier layers, of later tokens. Absent: none. */
  trainingLosses?(params: Params, output: LanguageModelOutput, asked: Targets, context: Context): Losses;
  /** The model without its head, with the same parameters, for use with other heads. */
  readonly body: TokenBody;
  /** As of the body. */
  trimmed?(spans: readonly (readonly number[])[]): LanguageModel<Params>;
};

/** B and T of an input. */
export function extentOf({ tokens, vectors }: RowContent): readonly [rows: number, length: number] {
  const [rows, length] = (tokens ?? vectors).shape;
  return [rows!, length!];
}

/**
 * What goes into the last feed-forward network, float32 [B, T, C]: the states that datastores hold.
 *
 * @throws TypeError for a model that does not tell it
 */
export function ffnInputOf({ ffnInput }: LanguageModelOutput): Tensor {
  if (ffnInput === undefined)
    throw new TypeError("retrieval: this model does not tell what goes into its last feed-forward network");
  return cast(ffnInput(), "float32");
}
