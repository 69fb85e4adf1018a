import {
  type Concrete,
  cast,
  expandDims,
  isTensor,
  mapTree,
  max,
  mean,
  mul,
  type RandomKey,
  reshape,
  square,
  stopGradient,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { groupedProduct } from "../attention/core/query-block.ts";
import { makeView } from "../attention/core/view.ts";
import { fullPattern } from "../attention/patterns/pattern.ts";
import type { SoftmaxMixer } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { SegmentState } from "./segment-memory.ts";

/** One compression, and the attention around it. */
export type Compressed = {
  readonly mixer: SoftmaxMixer<unknown>;
  /** Parameters of the mixer. */
  readonly params: unknown;
  /** What the layer read in this segment, [B, T, C]; 1 in `seen` for those that are not padding, int32 [B, T]. */
  readonly read: SegmentState;
  /** What left the memory, [B, n·c, C]. */
  readonly old: SegmentState;
  /** What it was compressed to, [B, n, C]. */
  readonly compressed: SegmentState;
};

/** What a learned compression learns from. Of all that goes in, only `compressed` gets gradients. */
export type CompressionLoss<Params = unknown> = {
  /** As the losses of a model call it. */
  readonly name: string;
  /** Parameters of its own. Absent: it has none. */
  init?(key: RandomKey): Concrete<Params>;
  apply(params: Params, given: Compressed): Tensor;
};

/** Makes the loss of a compression of each `rate` (c) positions of `modelWidth` (C) features. */
export type CompressionLossMaker = (sizes: { readonly modelWidth: number; readonly rate: number }) => CompressionLoss;

/**
 * What attention reads from the compressed memories should be what it reads from those that they replace:
 * `ℒ = mean (attn(SG(h), SG(old)) − attn(SG(h), compressed))²`, by content alone, without mask, positions and output projection; W_q, W_k
 * and W_v get no gradients either. What attention does not look at may be lost.
 *
 * @source Rae et al. 2020, algorithm 2
 * @differs the mean of squares, where the paper has the norm; rows of which nothing left the memory count 0
 */
export const attentionReconstruction: CompressionLossMaker = () => ({
  name: "reconstruction",
  apply: (_, { mixer, params, read, old, compressed }) => {
    const fixed = mapTree(params, isTensor, stopGradient);
    const x = stopGradient(read.vectors);
    const readFrom = ({ vectors, seen }: SegmentState): Tensor => {
      const cross = mixer.keysAndValues(fixed, vectors, {});
      const [queries, keys] = [x.shape[1]!, vectors.shape[1]!];
      const view = makeView({ pattern: fullPattern, queries, keys, keyMask: seen });
      const { weights } = mixer.apply(fixed, { x, cross, view }, evaluation).map!();
      return groupedProduct(weights, cross.value, {});
    };
    const error = sub(readFrom(still(old)), readFrom(compressed));
    const counts = mul(max(old.seen, { axes: 1, keepDims: true }), read.seen);
    return mean(mul(square(error), expandDims(expandDims(cast(counts, error.dtype), 1), -1)));
  },
});

/**
 * The compressed memories should tell those that they replace: `ℒ = mean (SG(old) − g(compressed))²`, with a transposed convolution g.
 *
 * @source Rae et al. 2020, §3.2
 * @differs the mean of squares, where the paper has the norm; positions that were not seen count 0
 */
export const autoEncoding: CompressionLossMaker = ({ modelWidth, rate }) => {
  const decoder = linear(modelWidth, rate * modelWidth);
  return {
    name: "autoencoding",
    init: decoder.init,
    apply: (params: LinearParams, { old, compressed }) => {
      const { vectors, seen } = still(old);
      const decoded = reshape(decoder.apply(params, compressed.vectors), vectors.shape);
      return mean(mul(square(sub(vectors, decoded)), expandDims(cast(seen, vectors.dtype), -1)));
    },
  };
};

export type CompressionLossName = "attention-reconstruction" | "auto-encoding";

/** All losses of compressions by name. */
export const compressionLosses: Readonly<Record<CompressionLossName, CompressionLossMaker>> = {
  "attention-reconstruction": attentionReconstruction,
  "auto-encoding": autoEncoding,
};

function still({ vectors, seen }: SegmentState): SegmentState {
  return { vectors: stopGradient(vectors), seen };
}
