import {
  add,
  type Concrete,
  cast,
  cond,
  equal,
  expandDims,
  full,
  iota,
  mod,
  ones,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";
import { realAt } from "../attention/core/head-projections.ts";
import { makeView } from "../attention/core/view.ts";
import type { Recurrent } from "../kinds/index.ts";
import { evaluation } from "../kinds/layer.ts";
import { present } from "../schema/present.ts";
import {
  type CompressiveParams,
  type CompressiveParts,
  type CompressiveState,
  lookBack,
  moveOn,
  usageOf,
} from "./compressive-segment.ts";
import { emptySegment, type SegmentState } from "./segment-memory.ts";

/** What is remembered, the segment so far, and how much attention it paid to each key, [B, S], for a compression that reads it. */
export type CompressiveDecodeState = {
  readonly past: CompressiveState;
  readonly segment: SegmentState;
  readonly usage?: Tensor;
};

/** Position by position, in segments as long as the memory. */
export function compressiveDecoding<Params>(
  parts: CompressiveParts<Params>,
): Recurrent<CompressiveParams<Params>, CompressiveDecodeState> {
  const { memoryLength, compressedLength, modelWidth } = parts.options;
  const keys = compressedLength + 2 * memoryLength;
  return {
    start: (batch) => {
      const empty = (length: number) => emptySegment(batch, length, modelWidth);
      return {
        past: { memory: empty(memoryLength), compressed: empty(compressedLength) },
        segment: empty(memoryLength),
        ...(parts.compression.readsUsage && { usage: full([batch, keys], 0) }),
      } as Concrete<CompressiveDecodeState>;
    },
    step: (params, x, { past, segment, usage }, { position, view }) => {
      const at = mod(position, memoryLength);
      const isOwn = equal(iota(memoryLength), at);
      const real = realAt(view.keyMask, position) ?? ones([x.shape[0]!, 1]);
      // Of the segment before, later positions still hold something; the pattern hides them.
      const read = {
        vectors: where(expandDims(isOwn, -1), cast(x, "float32"), segment.vectors),
        seen: where(isOwn, cast(real, "int32"), segment.seen),
      };
      const own = makeView({
        pattern: view.pattern,
        queries: 1,
        keys,
        offset: add(at, compressedLength + memoryLength),
        ...present({ scores: view.scores, rotate: view.rotate }),
      });
      const out = lookBack(parts, params, { past, read, input: { x, view: own } }, evaluation);
      const used = usage && add(usage, usageOf(out.map!(), real));
      const { past: next, usage: left } = cond(
        equal(at, memoryLength - 1),
        () => ({
          past: moveOn(parts, params, past, { ...read, ...present({ usage: used }) }).next,
          ...present({ usage: used && zeros(used.shape) }),
        }),
        () => ({ past, ...present({ usage: used }) }),
      );
      return { y: out.y, state: { past: next, segment: read, ...present({ usage: left }) } };
    },
  };
}
