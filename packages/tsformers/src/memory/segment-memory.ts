import {
  broadcastTo,
  cast,
  concat,
  full,
  mul,
  ones,
  reshape,
  slice,
  stopGradient,
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
  const { length, modelWidth } = options;
  if (!(Number.isSafeInteger(length) && length >= 1))
    throw new RangeError(`segmentMemory: length must be a whole number of at least 1, got ${length}`);
  return {
    ...mixer,
    segment: {
      length,
      forgets: true,
      init: (batch) => ({ vectors: full([batch, length, modelWidth], 0), seen: full([batch, length], 0, "int32") }),
    },
    apply: (params, input, context) => {
      const memory = input.state?.segment as SegmentState | undefined;
      if (memory === undefined) return mixer.apply(params, input, context);
      const { x, view } = input;
      const { x: stream, norm } = input.stream ?? { x, norm: (x: Tensor) => x };
      const shown = view.memory ?? 0;
      const earlier = shown === 0 ? [] : [norm(cast(newest(memory.vectors, shown), stream.dtype))];
      const cross = mixer.keysAndValues(params, concat([...earlier, x], 1), view);
      const seen = concat([memory.seen, seenOf(view.keyMask, stream)], 1);
      const keyMask = newest(seen, shown + x.shape[1]!);
      const out = mixer.apply(params, { ...input, cross, view: { ...view, keyMask } }, context);
      const vectors = concat([memory.vectors, cast(stream, memory.vectors.dtype)], 1);
      const kept = newest(
        view.visible === undefined ? seen : mul(seen, seenByLast(view.visible, seen.shape[1]!)),
        length,
      );
      const segment: SegmentState = { vectors: stopGradient(newest(vectors, length)), seen: kept };
      return { ...out, state: { ...input.state, segment } };
    },
  };
}

/** 1 for positions of x that are not padding, int32 [B, T]. */
function seenOf(mask: Tensor | undefined, x: Tensor): Tensor {
  return mask === undefined ? ones(x.shape.slice(0, 2), "int32") : cast(mask, "int32");
}

/**
 * What the last position may see of `count` positions, int32 [B, count]: the rest belongs to earlier documents. What is older than all that
 * the view shows belongs to the document of the oldest that it shows.
 *
 * @shape visible [B, 1, T, S], S ≤ count
 */
function seenByLast(visible: Tensor, count: number): Tensor {
  const [batch, , , keys] = visible.shape as [number, number, number, number];
  const last = cast(reshape(slice(visible, 2, -1), [batch, keys]), "int32");
  return keys === count ? last : concat([broadcastTo(slice(last, 1, 0, 1), [batch, count - keys]), last], 1);
}

/** The last `count` positions of [B, T, …]. */
function newest(x: Tensor, count: number): Tensor {
  return slice(x, 1, x.shape[1]! - count);
}
