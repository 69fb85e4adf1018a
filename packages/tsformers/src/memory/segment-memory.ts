import {
  add,
  cast,
  concat,
  expandDims,
  full,
  greaterEqual,
  iota,
  minimum,
  ones,
  slice,
  stopGradient,
  sub,
  type Tensor,
} from "@tsformers/engine";
import type { SoftmaxMixer } from "../kinds/index.ts";

export type SegmentMemoryOptions = {
  /** M: how many positions are remembered. */
  readonly length: number;
  readonly modelWidth: number;
};

/** What a row remembers. */
export type SegmentState = {
  /** The newest inputs of the layer, the newest last, [B, M, C]. */
  readonly vectors: Tensor;
  /** How many of them, from the last on, are there yet, int32 [B]. */
  readonly filled: Tensor;
};

/**
 * Attention that also looks at the layer's inputs of earlier segments: `k, v = W·[SG(memory), x]`, queries from x alone. Afterwards the
 * memory holds the last M of `[memory, x]`, without gradients.
 *
 * The memory is of the stream as it comes to the layer; the norm of a pre-norm block is applied to what was kept when it is looked at.
 * Without a memory that goes in, it is the mixer itself.
 *
 * @shape  x [B, T, C], memory [B, M, C] → y [B, T, C]
 * @cost   O(B·H·T·(M + T)·D) time; a path through N layers reaches back N·M positions
 * @source Dai et al. 2019, "Transformer-XL", §3.2, arXiv:1901.02860
 */
export function segmentMemory<Params>(
  mixer: SoftmaxMixer<Params>,
  options: SegmentMemoryOptions,
): SoftmaxMixer<Params> {
  const { length, modelWidth } = options;
  if (!(Number.isSafeInteger(length) && length >= 1))
    throw new RangeError(`segmentMemory: length must be a whole number of at least 1, got ${length}`);
  return {
    ...mixer,
    segment: {
      length,
      init: (batch) => ({ vectors: full([batch, length, modelWidth], 0), filled: full([batch], 0, "int32") }),
    },
    apply: (params, input, context) => {
      const memory = input.state?.segment as SegmentState | undefined;
      if (memory === undefined) return mixer.apply(params, input, context);
      const { x, view } = input;
      const { x: stream, norm } = input.stream ?? { x, norm: (x: Tensor) => x };
      const kept = cast(memory.vectors, stream.dtype);
      const cross = mixer.keysAndValues(params, concat([norm(kept), x], 1), view);
      const keyMask = maskOf(memory, view.keyMask, stream);
      const out = mixer.apply(params, { ...input, cross, view: { ...view, keyMask } }, context);
      return { ...out, state: { ...input.state, segment: remembered(memory, stream, length) } };
    },
  };
}

/** 1 for keys that are there: those of the memory, then those of x, [B, M + T]. */
function maskOf({ filled, vectors }: SegmentState, own: Tensor | undefined, x: Tensor): Tensor {
  const [batch, length] = x.shape as [number, number];
  const slots = vectors.shape[1]!;
  const isThere = greaterEqual(iota([1, slots], 1), sub(slots, expandDims(filled, 1)));
  return concat([cast(isThere, "int32"), own === undefined ? ones([batch, length], "int32") : cast(own, "int32")], 1);
}

function remembered({ vectors, filled }: SegmentState, stream: Tensor, length: number): SegmentState {
  const all = concat([vectors, cast(stream, vectors.dtype)], 1);
  return {
    vectors: stopGradient(slice(all, 1, all.shape[1]! - length)),
    filled: minimum(add(filled, stream.shape[1]!), length),
  };
}
