import { type Concrete, cast, concat, full, mul, ones, slice, stopGradient, type Tensor } from "@tsformers/engine";
import type { SegmentMemory, SoftmaxMixer } from "../kinds/index.ts";

export type SegmentMemoryOptions = {
  /** M: how many positions are remembered. */
  readonly length: number;
  readonly modelWidth: number;
};

/** What a row remembers. */
export type SegmentState = {
  /** The newest inputs of the layer, the newest last, [B, M, C]. */
  readonly vectors: Tensor;
  /** 1 for those that may be seen, 0 where nothing was read yet and for padding, int32 [B, M]. */
  readonly seen: Tensor;
};

/**
 * Attention that also looks at the layer's inputs of earlier segments: `k, v = W·[SG(memory), x]`, queries from x alone. Afterwards the
 * memory holds the last M of `[memory, x]`, without gradients. Padding takes a place in it, and is not seen; nor is what came before a
 * document that began in x.
 *
 * The memory is of the stream as it comes to the layer; the norm of a pre-norm block is applied to what was kept when it is looked at.
 * Of what is remembered, only the part that the view shows is looked at. Without a memory that goes in, it is the mixer itself.
 *
 * @shape  x [B, T, C], memory [B, M, C] → y [B, T, C]
 * @cost   O(B·H·T·(M + T)·D) time, M being what the view shows; a path through N layers reaches back N·M positions
 * @source Dai et al. 2019, "Transformer-XL", §3.2, arXiv:1901.02860
 */
export function segmentMemory<Params>(
  mixer: SoftmaxMixer<Params>,
  options: SegmentMemoryOptions,
): SoftmaxMixer<Params> {
  const { length } = options;
  if (!(Number.isSafeInteger(length) && length >= 1))
    throw new RangeError(`segmentMemory: length must be a whole number of at least 1, got ${length}`);
  return {
    ...mixer,
    segment: emptyMemory(options),
    apply: (params, input, context) => {
      const memory = input.state?.segment as SegmentState | undefined;
      if (memory === undefined) return mixer.apply(params, input, context);
      const { x, view } = input;
      const { x: stream, norm } = input.stream ?? { x, norm: (x: Tensor) => x };
      const shown = view.memory ?? 0;
      const earlier = shown === 0 ? [] : [norm(cast(newest(memory.vectors, shown), stream.dtype))];
      const cross = mixer.keysAndValues(params, concat([...earlier, x], 1), view);
      const own = { vectors: stream, seen: seenOf(view.keyMask, stream) };
      const keyMask = newest(concat([memory.seen, own.seen], 1), shown + x.shape[1]!);
      const out = mixer.apply(params, { ...input, cross, view: { ...view, keyMask } }, context);
      const segment = remembered(memory, own, view.current);
      return { ...out, state: { ...input.state, segment } };
    },
  };
}

/**
 * The memory after a segment: the last M of what it held and of what the layer read, without gradients.
 *
 * @param current 1 for what belongs to the last document, int32 [B, M + T]; the rest is not seen again. Default: all of it
 */
export function remembered(memory: SegmentState, own: SegmentState, current?: Tensor): SegmentState {
  const length = memory.seen.shape[1]!;
  const vectors = concat([memory.vectors, cast(own.vectors, memory.vectors.dtype)], 1);
  const seen = concat([memory.seen, own.seen], 1);
  const kept = current === undefined ? seen : mul(seen, current);
  return { vectors: stopGradient(newest(vectors, length)), seen: newest(kept, length) };
}

/** An empty memory of M positions, for each row of a batch. */
export function emptyMemory({ length, modelWidth }: SegmentMemoryOptions): SegmentMemory {
  return {
    length,
    forgets: true,
    init: (batch) => emptySegment(batch, length, modelWidth),
  };
}

/** Room for `length` positions of which none was read. */
export function emptySegment(batch: number, length: number, modelWidth: number): Concrete<SegmentState> {
  return { vectors: full([batch, length, modelWidth], 0), seen: full([batch, length], 0, "int32") };
}

/** 1 for positions of x that are not padding, int32 [B, T]. */
export function seenOf(mask: Tensor | undefined, x: Tensor): Tensor {
  return mask === undefined ? ones(x.shape.slice(0, 2), "int32") : cast(mask, "int32");
}

/** The last `count` positions of [B, T, …]. */
export function newest(x: Tensor, count: number): Tensor {
  return slice(x, 1, x.shape[1]! - count);
}
