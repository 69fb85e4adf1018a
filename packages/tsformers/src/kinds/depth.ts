import type { Tensor } from "@tsformers/engine";
import type { BlockTraits } from "./block.ts";
import type { Context, Layer, Losses } from "./layer.ts";
import type { AttentionMap } from "./mixer.ts";
import type { DecodePlace, StackState } from "./state.ts";
import type { View } from "./view.ts";

export type DepthInput = {
  /** [B, T, C] */
  readonly x: Tensor;
  /** What each layer sees. */
  readonly view: (layer: number) => View;
  readonly state: StackState;
  /** Present in decoding, for each layer. */
  readonly place?: (layer: number) => DecodePlace;
  /** Vectors of positions added to the input of each layer, [T, C] or [B, T, C]. */
  readonly input?: (layer: number) => Tensor;
};

export type DepthOutput = {
  /** [B, T, C], after the final norm. */
  readonly x: Tensor;
  /** Input of the first block, then the output of each; the last one after the final norm. */
  readonly hidden: readonly Tensor[];
  /** Attention map of each layer, computed when called. */
  readonly maps: readonly (() => AttentionMap)[];
  /** What went into the feed-forward network of the last layer, behind its norm, [B, T, C], computed when called. Absent: it is not told. */
  readonly ffnInput?: () => Tensor;
  /** Of all layers, equal names added up. */
  readonly losses: Losses;
  /** After this pass, of the sorts that went in. */
  readonly state: StackState;
  /** How many layers each position went through, float32 [B, T], where it is not the same for all. */
  readonly steps?: Tensor;
};

/** How blocks follow one another: a stack, one block many times, blocks that are undone, positions that stop early. */
export type Depth<Params = unknown> = Layer<Params, [input: DepthInput, context: Context], DepthOutput> & {
  /** What each layer that runs says of its mixer; layers that share a block say the same. */
  readonly layers: readonly BlockTraits[];
};
