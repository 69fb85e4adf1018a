import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { AttentionMap, BlockTraits, Context, KeyValueCache, Losses, Pattern, StackState } from "../kinds/index.ts";
import type { DecodeLayers } from "./language-model.ts";

/** A sequence that was read: what the decoder's layers look at in it. */
export type Encoded = {
  /** For each layer of the decoder, [B, H, S, D]. */
  readonly entries: readonly KeyValueCache[];
  /** 1 for tokens, 0 for padding, [B, S]. */
  readonly mask?: Tensor;
};

export type EncodeInput = {
  /** int32 [B, S] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, S]. */
  readonly mask?: Tensor;
  /** 1 for tokens that see all and that all see, 0 for the others, [B, S]. Default: those that the mixers were made with. */
  readonly globals?: Tensor;
};

export type EncodeOutput = Encoded & {
  /** [B, S, C] */
  readonly memory: Tensor;
  readonly hidden: readonly Tensor[];
  /** What each layer looked at. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** To add to the training loss. */
  readonly losses: Losses;
  /** Of the encoder's layers. */
  readonly state: StackState;
};

export type DecodeInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  readonly encoded: Encoded;
  /** Present in decoding: what earlier positions left in each layer. */
  readonly decode?: DecodeLayers;
};

export type DecodeOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  readonly hidden: readonly Tensor[];
  /** Of looking at earlier outputs, layer by layer. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** Of looking at the source. */
  readonly crossMaps: readonly (() => AttentionMap)[];
  /** To add to the training loss. */
  readonly losses: Losses;
  /** Of the decoder's layers. */
  readonly state: StackState;
};

/** A model that reads one sequence and predicts the next token of another. */
export type SequenceToSequence<Params = unknown> = {
  readonly vocabularySize: number;
  /** How many positions of targets its learned tables cover: nothing is written beyond. Absent: any number. */
  readonly maxLength?: number;
  /** The same of sources. */
  readonly maxSourceLength?: number;
  init(key: RandomKey): Concrete<Params>;
  encode(params: Params, source: EncodeInput, context: Context): EncodeOutput;
  decode(params: Params, target: DecodeInput, context: Context): DecodeOutput;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
  /** What each layer of the decoder says of its mixer. */
  readonly layers: readonly BlockTraits[];
  /** What each layer of the decoder sees of the target. */
  readonly patterns: readonly Pattern[];
};
