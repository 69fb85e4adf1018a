import {
  add,
  type Concrete,
  cast,
  expandDims,
  gather,
  matmul,
  mul,
  notEqual,
  type RandomKey,
  slice,
  splitKey,
  sub,
  type Tensor,
  takeAlongAxis,
  transpose,
} from "@tsformers/engine";
import type { Positions, Score } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";

export type RelativeSegmentsParams = {
  /** Stands in place of the query's own segment, [H, D]. */
  bias: Tensor;
  /** The vector of keys of the query's segment, then that of keys of another one, [2, H, D]. */
  vectors: Tensor;
};

export function initRelativeSegments(
  key: RandomKey,
  { heads, headWidth, initial = normalInitial() }: { heads: number; headWidth: number; initial?: Initial },
): Concrete<RelativeSegmentsParams> {
  const [a, b] = splitKey(key, 2);
  return { bias: initial(a!, [heads, headWidth]), vectors: initial(b!, [2, heads, headWidth]) };
}

/**
 * Attention by segment: what counts is only whether query and key are of the same segment, not of which one, so that texts of more segments
 * than in training can be read.
 *
 * `logits[b,h,t,s] += scale·(q_t + b_h)·e_h[segment_t = segment_s ? 0 : 1]`
 *
 * @param segments segment of each key, int32 [B, S], those of a memory in front
 * @param memory how many keys belong to the memory; positions count from behind it
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(B·H·T·(S + D)) time; 3·C parameters a layer
 * @source Yang et al. 2019, "XLNet", §2.5, arXiv:1906.08237
 */
export function relativeSegments(
  { bias, vectors }: RelativeSegmentsParams,
  segments: Tensor,
  memory: number,
): (positions: Positions) => Score {
  const segmentOf = (positions: Tensor): Tensor => {
    const at = add(positions, memory);
    return at.shape.length === 1 ? gather(segments, at, 1) : takeAlongAxis(segments, at, 1);
  };
  const byHead = transpose(vectors, [1, 0, 2]);
  return ({ query, key }) => {
    const differ = notEqual(expandDims(segmentOf(query), 2), expandDims(segmentOf(key), 1));
    const other = expandDims(cast(differ, "float32"), 1);
    return {
      logits: (logits, { query, scale }) => {
        const both = matmul(add(query, expandDims(bias, 1)), byHead, { transposeB: true, scale });
        const [same, different] = [slice(both, -1, 0, 1), slice(both, -1, 1, 2)].map((x) => cast(x, logits.dtype));
        return add(logits, add(same!, mul(sub(different!, same!), cast(other, logits.dtype))));
      },
    };
  };
}
