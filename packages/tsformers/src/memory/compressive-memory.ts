import {
  type Concrete,
  cast,
  concat,
  mean,
  mul,
  pad,
  reshape,
  slice,
  splitKey,
  stopGradient,
  type Tensor,
} from "@tsformers/engine";
import type { AttentionMap, Context, Mixer, MixerInput, MixerOutput, SoftmaxMixer } from "../kinds/index.ts";
import { requireCounts } from "../nn/sizes.ts";
import { CombinationError } from "../schema/combination-error.ts";
import { present } from "../schema/present.ts";
import { attentionReconstruction, type CompressionLoss, type CompressionLossMaker } from "./compression-losses.ts";
import { type Compression, type CompressionMaker, convolution, type Evicted } from "./compressions.ts";
import { compressiveDecoding } from "./compressive-decoding.ts";
import { emptySegment, newest, type SegmentState, seenOf } from "./segment-memory.ts";

export type CompressiveMemoryOptions = {
  readonly modelWidth: number;
  /** n_m: how many positions are remembered as they were read. A multiple of `rate`. */
  readonly memoryLength: number;
  /** n_cm: how many compressed vectors are remembered behind them. */
  readonly compressedLength: number;
  /** c: how many positions become one vector. */
  readonly rate: number;
  /** Default: {@link convolution}. */
  readonly compression?: CompressionMaker;
  /** What a learned compression learns from. Default: {@link attentionReconstruction}. */
  readonly loss?: CompressionLossMaker;
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
 * Attention that also looks at the layer's inputs of earlier segments, those of long ago compressed:
 * `k, v = W·[compressed, memory, x]`, queries from x alone. Afterwards the T oldest of `[memory, x]` leave the memory, each c of them as
 * one vector that is appended to the compressed memory, whose oldest vectors are forgotten.
 *
 * Neither memory has gradients: a learned compression learns from a loss of its own, which reaches nothing else. T positions that are no
 * multiple of c are filled up in front. Padding is not seen, and has no say in what it is compressed with.
 *
 * Decoding reads in segments of `memoryLength` positions: within one every position sees what came before, and at its end both memories move on.
 *
 * @shape  x [B, T, C], memories [B, n_cm, C] and [B, n_m, C] → y [B, T, C]
 * @cost   O(B·H·T·(n_cm + n_m + T)·D) time; a path through N layers reaches back N·(n_m + c·n_cm) positions
 * @source Rae et al. 2020, "Compressive Transformers for Long-Range Sequence Modelling", §3, arXiv:1911.05507
 * @differs in a pre-norm block the normed input is remembered, not the stream: it is compressed as attention reads it
 * @throws RangeError for sizes that are no whole numbers, and a memory that is no multiple of the rate; CombinationError for a loss of a
 *   compression without parameters
 */
export function compressiveMemory<Params>(
  mixer: SoftmaxMixer<Params>,
  options: CompressiveMemoryOptions,
): Mixer<CompressiveParams<Params>> {
  const { modelWidth, memoryLength, compressedLength, rate } = options;
  requireCounts("compressiveMemory", { modelWidth, memoryLength, compressedLength, rate });
  if (memoryLength % rate !== 0)
    throw new RangeError(
      `compressiveMemory: memoryLength must be a multiple of rate, got memoryLength ${memoryLength} and rate ${rate}`,
    );
  const compression = (options.compression ?? convolution)(options);
  const loss = lossOf(compression, options);
  const parts = { mixer, options, compression };
  return {
    name: mixer.name,
    sees: mixer.sees,
    segment: {
      length: compressedLength + memoryLength,
      init: (batch) => ({
        memory: emptySegment(batch, memoryLength, modelWidth),
        compressed: emptySegment(batch, compressedLength, modelWidth),
      }),
    },
    recurrent: compressiveDecoding(parts),
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const learned = present({ compression: compression.init?.(b!), loss: loss?.init?.(c!) });
      return { attention: mixer.init(a!), ...learned } as Concrete<CompressiveParams<Params>>;
    },
    apply: (params, input, context) => {
      const past = input.state?.segment as CompressiveState | undefined;
      if (past === undefined) return mixer.apply(params.attention, input, context);
      const read = { vectors: input.x, seen: seenOf(input.view.keyMask, input.x) };
      const out = lookBack(parts, params, { past, read, input }, context);
      const usage = compression.readsUsage && usageOf(out.map!(), read.seen);
      const { old, compressed, next } = moveOn(parts, params, past, { ...read, ...present({ usage }) });
      const given = { mixer: mixer as SoftmaxMixer<unknown>, params: params.attention, read, old, compressed };
      return {
        ...out,
        state: { ...input.state, segment: next },
        ...(loss !== undefined && { losses: { [loss.name]: loss.apply(params.loss, given) } }),
      };
    },
  };
}

/** Attention of the input over `[compressed, memory, read]`. */
export function lookBack<Params>(
  { mixer }: CompressiveParts<Params>,
  params: CompressiveParams<Params>,
  { past, read, input }: { readonly past: CompressiveState; readonly read: SegmentState; readonly input: MixerInput },
  context: Context,
): MixerOutput {
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
  { compression, options: { rate, memoryLength, compressedLength } }: CompressiveParts<Params>,
  params: CompressiveParams<Params>,
  { memory, compressed }: CompressiveState,
  { vectors, seen, usage }: Evicted,
): { readonly old: Evicted; readonly compressed: SegmentState; readonly next: CompressiveState } {
  const count = vectors.shape[1]!;
  const all = joined(memory, { vectors: stopGradient(vectors), seen });
  const leaving = mapEvicted({ ...all, ...present({ usage: usage && slice(usage, 1, compressedLength) }) }, (x) =>
    slice(x, 1, 0, count),
  );
  const old = mapEvicted(leaving, (x) => filledUp(x, rate));
  const made = compression.apply(params.compression, { ...old, vectors: cast(old.vectors, vectors.dtype) });
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
    throw new CombinationError("compressiveMemory: most used needs a pattern that shows most of the memories");
  const [batch, , queries] = weights.shape as [number, number, number, number];
  const real = reshape(cast(seen, weights.dtype), [batch, 1, queries, 1]);
  return stopGradient(mean(mul(weights, real), { axes: [1, 2] }));
}

function lossOf(compression: Compression, options: CompressiveMemoryOptions): CompressionLoss | undefined {
  if (compression.init !== undefined) return (options.loss ?? attentionReconstruction)(options);
  if (options.loss === undefined) return undefined;
  throw new CombinationError(
    `compressiveMemory: ${compression.name} has no parameters that a loss could train; leave loss away`,
  );
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
