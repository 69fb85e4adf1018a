import type { Concrete, NDArray, RandomKey, Tensor } from "@tsformers/engine";
import type { StackCache } from "../depth/stack.ts";
import type { AttentionMap, KeyValueCache } from "../kinds/index.ts";
import type { Context } from "../kinds/layer.ts";

/** A sequence that was read: what the decoder's layers look at in it. */
export type Encoded = {
  /** For each layer of the decoder, [B, H, S, D]. */
  readonly entries: readonly KeyValueCache[];
  /** 1 for tokens, 0 for padding, [B, S]. */
  readonly mask?: Tensor;
};

export type EncodeOutput = Encoded & {
  /** [B, S, C] */
  readonly memory: Tensor;
  readonly hidden: readonly Tensor[];
  /** What each layer looked at. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
};

export type DecodeInput = {
  /** int32 [B, T] */
  readonly tokens: Tensor;
  /** 1 for tokens, 0 for padding, [B, T]. */
  readonly mask?: Tensor;
  readonly encoded: Encoded;
  readonly cache?: StackCache;
};

export type DecodeOutput = {
  /** [B, T, V] */
  readonly logits: Tensor;
  readonly hidden: readonly Tensor[];
  /** Of looking at earlier outputs, layer by layer. Cost nothing unless called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** Of looking at the source. */
  readonly crossMaps: readonly (() => AttentionMap)[];
  readonly cache?: readonly KeyValueCache[];
};

/** A model that reads one sequence and predicts the next token of another. */
export type SequenceToSequence<Params = unknown> = {
  readonly vocabularySize: number;
  /** How many positions of targets its learned tables cover: nothing is written beyond. Absent: any number. */
  readonly maxLength?: number;
  /** The same of sources. */
  readonly maxSourceLength?: number;
  init(key: RandomKey): Concrete<Params>;
  encode(params: Params, source: { readonly tokens: Tensor; readonly mask?: Tensor }, context: Context): EncodeOutput;
  decode(params: Params, target: DecodeInput, context: Context): DecodeOutput;
  /** An empty cache of the decoder with room for `capacity` positions. */
  emptyCache(batch: number, capacity: number): { key: NDArray; value: NDArray }[];
};
