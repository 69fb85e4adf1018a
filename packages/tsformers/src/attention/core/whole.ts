import {
  add,
  and,
  cast,
  constant,
  expandDims,
  gather,
  iota,
  lessEqual,
  logSumExp,
  max,
  mul,
  softmax,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { KeyValueCache, View } from "../../kinds/index.ts";
import { dropout } from "../../nn/dropout.ts";
import { present } from "../../schema/present.ts";
import { causal, denseMask, fullPattern } from "../patterns/pattern.ts";
import type { Attended, AttendOptions } from "./attended.ts";
import { byHead, byRowAndHead, cappedProduct, groupedProduct, hidden } from "./query-block.ts";
import { besideSink } from "./sink.ts";

/** Attention with every pair computed and hidden pairs masked: for cached keys, and for the conventions of other implementations. */
export function attendWhole(q: Tensor, { key, value }: KeyValueCache, options: AttendOptions): Attended {
  const { view, scale, cap, sink, dropoutRate = 0, context } = options;
  const factors = { scale, ...present({ cap }) };
  const raw = cappedProduct(q, key, factors);
  const score = view.prepared?.get(view.pattern) ?? view.scores?.(view.positions);
  const scored = score === undefined ? raw : score.logits(raw, { query: q, key, ...factors });
  const visible = visibleOf(view, q.shape[1]!);
  const logits = visible === undefined ? scored : (view.hide ?? addHidden)(scored, visible);
  const weights = cast(sink === undefined ? softmax(logits) : softmaxBeside(logits, sink), q.dtype);
  const kept = dropout(weights, dropoutRate, context, "attention");
  const product = groupedProduct(kept, value, {});
  const mixed = score?.values === undefined ? product : add(product, score.values(kept));
  const map = () => ({ weights });
  const sees = view.keyMask === undefined && view.pattern === causal;
  if (visible === undefined || view.blindAverage || sees) return { mixed, map };
  const sighted = max(cast(visible, "float32"), { axes: -1, keepDims: true });
  return { mixed: mul(mixed, cast(sighted, mixed.dtype)), map };
}

function softmaxBeside(logits: Tensor, sink: Tensor): Tensor {
  return besideSink(softmax(logits), logSumExp(logits, { axes: -1, keepDims: true }), sink);
}

function addHidden(logits: Tensor, visible: Tensor): Tensor {
  return add(logits, where(visible, 0, hidden));
}

/** Visibility mask, bool, broadcast to [B, H, T, S]; undefined where all is visible. */
function visibleOf(view: View, heads: number): Tensor | undefined {
  const { visible, keyMask } = view;
  const masks = [
    shownBy(view, heads),
    visible && byRowAndHead(visible, heads),
    keyMask && expandDims(expandDims(cast(keyMask, "bool"), 1), 1),
  ].filter((mask) => mask !== undefined);
  return masks.length === 0 ? undefined : masks.reduce((a, b) => and(a, b));
}

/** The pattern's mask, bool [1, 1 or H, T, S]; undefined for the full pattern. */
function shownBy({ pattern, queries, keys, offset }: View, heads: number): Tensor | undefined {
  if (pattern === fullPattern) return undefined;
  if (offset === undefined) return expandDims(byHead(constant(denseMask(pattern, queries, keys)), heads), 0);
  const at = add(iota(queries), offset);
  if (pattern === causal) {
    return expandDims(expandDims(lessEqual(iota(keys), expandDims(at, 1)), 0), 0);
  }
  return expandDims(byHead(gather(constant(denseMask(pattern, keys, keys)), at, 1), heads), 0);
}
