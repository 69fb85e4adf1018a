import type { Concrete, RandomKey, Tensor } from "@tsformers/engine";
import type { AttentionMap, BlockTraits, Context, KeyValueCache, Losses, Pattern, StackState } from "../kinds/index.ts";
import type { DecodeLayers, Targets } from "./language-model.ts";

/** An encoded source: keys and values for the decoder's cross-attention. */
export type Encoded = {
  /** Keys and values for each layer of the decoder, [B, K, S, D]. */
  readonly entries: readonly KeyValueCache[];
  /** 1 for tokens, 0 for padding, [B, S]. */
  readonly mask?: Tensor;
};

export type EncodeInput = {
  /** int32 [B, S] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, S]. */
  readonly mask?: Tensor;
  /** 1 for global tokens, 0 for others, [B, S]. Default: those the mixers were made with. */
  readonly globals?: Tensor;
};

export type EncodeOutput = Encoded & {
  /** [B, S, C] */
  readonly memory: Tensor;
  readonly hidden: readonly Tensor[];
  /** Attention map of each layer, computed when called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** Losses to add in training. */
  readonly losses: Losses;
  /** State of the encoder's layers. */
  readonly state: StackState;
  /** How many layers each position went through, float32 [B, S], where it is not the same for all. */
  readonly steps?: Tensor;
};

export type DecodeInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  readonly encoded: Encoded;
  /** Decode state of the layers; present in decoding only. */
  readonly decode?: DecodeLayers;
};

export type DecodeOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  readonly hidden: readonly Tensor[];
  /** Attention map of each layer over the target, computed when called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** Attention map of each layer over the source, computed when called. */
  readonly crossMaps: readonly (() => AttentionMap)[];
  /** Losses to add in training. */
  readonly losses: Losses;
  /** State of the decoder's layers. */
  readonly state: StackState;
  /** How many layers each position went through, float32 [B, T], where it is not the same for all. */
  readonly steps?: Tensor;
};

/** A model that reads one sequence and predicts the next token of another. */
export type SequenceToSequence<Params = unknown> = {
  readonly vocabularySize: number;
  /** Positions of its learned tables for targets, the most it can write. Absent: no limit. */
  readonly maxLength?: number;
  /** The same for sources. */
  readonly maxSourceLength?: number;
  init(key: RandomKey): Concrete<Params>;
  encode(params: Params, source: EncodeInput, context: Context): EncodeOutput;
  decode(params: Params, target: DecodeInput, context: Context): DecodeOutput;
  /** Losses that training adds, given what a pass put out and what was asked of it. Absent: none. */
  trainingLosses?(params: Params, output: DecodeOutput, asked: Targets, context: Context): Losses;
  /** Projects parameters back into their allowed range after each update. Absent: no constraints. */
  project?(params: Params): Params;
  /** Traits of the decoder layers' mixers. */
  readonly layers: readonly BlockTraits[];
  /** The pattern of each decoder layer over the target. */
  readonly patterns: readonly Pattern[];
};
