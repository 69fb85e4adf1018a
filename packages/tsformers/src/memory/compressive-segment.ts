import { cast, concat, mean, mul, pad, reshape, slice, stopGradient, type Tensor } from "@tsformers/engine";
import { requireSupport } from "../attention/core/require-support.ts";
import type { AttentionMap, Context, MixerInput, MixerOutput, SoftmaxMixer } from "../kinds/index.ts";
import { CombinationError } from "../schema/combination-error.ts";
import { present } from "../schema/present.ts";
import type { CompressionLossMaker } from "./compression-losses.ts";
import type { Compression, CompressionMaker, Evicted } from "./compressions.ts";
import { newest, type SegmentState } from "./segment-memory.ts";

export type CompressiveMemoryOptions = {
  readonly modelWidth: number;
  /** n_m: how many positions are remembered as they were read. A multiple of `compressionRate`. */
  readonly memoryLength: number;
  /** n_cm: how many compressed vectors are remembered behind them. */
  readonly compressedLength: number;
  /** c: how many positions become one vector. */
  readonly compressionRate: number;
  /** Default: {@link convolution}. */
  readonly compression?: CompressionMaker;
  /** What a learned compression learns from. Default: {@link attentionReconstruction}. */
  readonly compressionLoss?: CompressionLossMaker;
};

/** What a row remembers: the newest positions, and those before them compressed. */
export type CompressiveState = { readonly memory: SegmentState; readonly compressed: SegmentState };

export type CompressiveParams<Params> = {
  attention: Params;
  /** Of a learned compression, and of its loss where that has any. */
  compression?: unknown;
  loss?: unknown;
};

/** The parts that reading a segment and decoding have in common. */
export type CompressiveParts<Params> = {
  readonly mixer: SoftmaxMixer<Params>;
  readonly options: CompressiveMemoryOptions;
  readonly compression: Compression;
};

/**
 * Attention of the input over `[compressed, memory, read]`.
 *
 * @throws CombinationError for rotated queries and keys
 */
export function lookBack<Params>(
  { mixer }: CompressiveParts<Params>,
  params: CompressiveParams<Params>,
  { past, read, input }: { readonly past: CompressiveState; readonly read: SegmentState; readonly input: MixerInput },
  context: Context,
): MixerOutput {
  requireSupport("compressive memory", input.view, { rotation: "a compressed vector stands for several positions" });
  const all = [past.compressed, past.memory, read];
  const vectors = all.map(({ vectors }) => cast(vectors, input.x.dtype));
  const keyMask = concat(
    all.map(({ seen }) => seen),
    1,
  );
  const cross = mixer.keysAndValues(params.attention, concat(vectors, 1), input.view);
  return mixer.apply(params.attention, { ...input, cross, view: { ...input.view, keyMask } }, context);
}

/**
 * What a row remembers after a segment, and what was compressed for it, neither with gradients of the segment.
 *
 * @param read the segment, and how much attention each position of `[compressed, memory, read]` got, [B, S], for a compression that reads it
 */
export function moveOn<Params>(
  { compression, options: { compressionRate: rate, memoryLength, compressedLength } }: CompressiveParts<Params>,
  params: CompressiveParams<Params>,
  { memory, compressed }: CompressiveState,
  { vectors, seen, usage }: Evicted,
): { readonly old: Evicted; readonly compressed: SegmentState; readonly next: CompressiveState } {
  const count = vectors.shape[1]!;
  const all = joined(memory, { vectors: stopGradient(vectors), seen });
  const leaving = {
    vectors: cast(all.vectors, vectors.dtype),
    seen: all.seen,
    ...present({ usage: usage && slice(usage, 1, compressedLength) }),
  };
  const old = mapEvicted(leaving, (x) => filledUp(slice(x, 1, 0, count), rate));
  const made = compression.apply(params.compression, old);
  const kept = joined(compressed, { ...made, vectors: stopGradient(made.vectors) });
  return {
    old,
    compressed: made,
    next: { memory: lastOf(all, memoryLength), compressed: lastOf(kept, compressedLength) },
  };
}

/** How much attention the positions that are no padding pay to each key, [B, S]. */
export function usageOf({ weights, keys }: AttentionMap, seen: Tensor): Tensor {
  if (keys !== undefined)
    throw new CombinationError("compressive memory: most used needs a pattern that shows most of the memories");
  const [batch, , queries] = weights.shape as [number, number, number, number];
  const real = reshape(cast(seen, weights.dtype), [batch, 1, queries, 1]);
  return stopGradient(mean(mul(weights, real), { axes: [1, 2] }));
}

/** One behind the other, in the precision of the first. */
function joined(first: SegmentState, { vectors, seen }: SegmentState): SegmentState {
  return {
    vectors: concat([first.vectors, cast(vectors, first.vectors.dtype)], 1),
    seen: concat([first.seen, seen], 1),
  };
}

function lastOf({ vectors, seen }: SegmentState, count: number): SegmentState {
  return { vectors: newest(vectors, count), seen: newest(seen, count) };
}

function mapEvicted({ vectors, seen, usage }: Evicted, change: (x: Tensor) => Tensor): Evicted {
  return { vectors: change(vectors), seen: change(seen), ...present({ usage: usage && change(usage) }) };
}

/** Zeros in front of [B, T, …], so that T is a multiple of `rate`. */
function filledUp(x: Tensor, rate: number): Tensor {
  const missing = (rate - (x.shape[1]! % rate)) % rate;
  return missing === 0
    ? x
    : pad(
        x,
        x.shape.map((_, axis): [number, number] => [axis === 1 ? missing : 0, 0]),
      );
}
