import {
  add,
  broadcastTo,
  cast,
  cumsum,
  div,
  equal,
  expandDims,
  gather,
  iota,
  kept,
  less,
  matmul,
  max,
  minimum,
  mul,
  ones,
  reshape,
  scatterAdd,
  scatterSet,
  slice,
  softmax,
  sort,
  type Tensor,
  topK,
  where,
  zeros,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { hidden } from "../core/query-block.ts";

/** How many clusters of one query or key an attention map shows. */
const clustersShown = 8;

/** The members of each cluster, int32 [B, H, k, W], in the order of their positions. */
export type Members = Tensor;

/**
 * The `window` positions that score highest with each centroid. Clusters have equal size, so a position may be in none of them, in
 * one, or in several. Padding is a member only where there are too few real positions.
 *
 * @shape scores [B, H, k, T], keyMask [B, T] → [B, H, k, W], W = min(window, T)
 * @cost  O(B·H·k·T·log W) time
 */
export function topMembers(scores: Tensor, window: number, keyMask?: Tensor): Members {
  const length = scores.shape[3]!;
  const real = keyMask && cast(reshape(keyMask, [keyMask.shape[0]!, 1, 1, length]), "bool");
  const among = real === undefined ? scores : where(real, scores, hidden);
  return kept(sort(topK(among, Math.min(window, length)).indices));
}

export type BalancedOptions = {
  /** Members of each cluster as queries, and as keys. Causal attention needs them equal. */
  readonly queries: Members;
  readonly keys: Members;
  readonly causal: boolean;
  /** Factor of the logits. */
  readonly scale: number;
  /** Replaces the logit of a position with itself, so that positions weigh themselves only if they see no other member. */
  readonly selfLogit?: number;
  /** Added to the number of clusters of a position, by which its sum is divided. Default: 0. */
  readonly countEpsilon?: number;
  /** 1 for real keys, 0 for padding, [B, T]. */
  readonly keyMask?: Tensor;
  readonly dropoutRate?: number;
  readonly context: Context;
};

export type Balanced = {
  /** [B, H, T, D] */
  readonly mixed: Tensor;
  /** Number of clusters that each query is in, [B, H, T]. */
  readonly counts: Tensor;
  readonly map: () => AttentionMap;
};

/**
 * Softmax attention inside clusters. A position in several clusters gets the average of its results; one in no cluster gets 0.
 *
 * @shape  q, k, v [B, H, T, D] → mixed [B, H, T, D]
 * @cost   O(B·H·k·W²·D) time, O(B·H·k·W·(W + D)) memory
 * @throws RangeError when causal and clusters have different queries and keys
 */
export function balancedAttention(q: Tensor, k: Tensor, v: Tensor, options: BalancedOptions): Balanced {
  const { queries, keys, scale, countEpsilon = 0, dropoutRate = 0, context } = options;
  if (queries !== keys && (options.causal || options.selfLogit !== undefined)) {
    throw new RangeError("balancedAttention: to be causal, clusters need the same queries and keys");
  }
  const [queryRows, keyRows] = [rowsOf(queries, q.shape[2]!), rowsOf(keys, k.shape[2]!)];
  const members = takeRows(k, keyRows);
  const raw = matmul(q === k ? members : takeRows(q, queryRows), members, { transposeB: true, scale });
  const { logits, sighted } = hide(cast(raw, "float32"), keyRows, options);
  const weights = sighted === undefined ? softmax(logits) : mul(softmax(logits), sighted);
  const dropped = dropout(cast(weights, v.dtype), dropoutRate, context, "attention");
  const outs = matmul(dropped, takeRows(v, keyRows));
  const places = q.shape.slice(0, 3).reduce((a, b) => a * b, 1);
  const sums = scatterAdd(zeros([places, v.shape[3]!], outs.dtype), queryRows, outs);
  const counts = scatterAdd(zeros([places, 1]), queryRows, ones([...queryRows.shape, 1]));
  const divisor = where(equal(counts, 0), 1, add(counts, countEpsilon));
  return {
    mixed: reshape(mul(sums, cast(div(1, divisor), sums.dtype)), [...q.shape.slice(0, 3), v.shape[3]!]),
    counts: reshape(counts, q.shape.slice(0, 3)),
    map: () => byQuery(weights, counts, options, q.shape[2]!),
  };
}

/** Members [B, H, k, W] as rows of [B·H·T, D]. */
function rowsOf(members: Members, length: number): Tensor {
  const [batch, heads] = members.shape as [number, number];
  return add(members, reshape(mul(iota(batch * heads), length), [batch, heads, 1, 1]));
}

/** [B, H, T, D] → [B, H, k, W, D] */
function takeRows(x: Tensor, rows: Tensor): Tensor {
  return gather(reshape(x, [-1, x.shape[3]!]), rows);
}

/** Applies masks to logits [B, H, k, W, W]. Where padding hides keys, also gives 1 for queries that see any key, 0 for the others. */
function hide(
  logits: Tensor,
  keyRows: Tensor,
  { causal, selfLogit, keyMask }: BalancedOptions,
): { logits: Tensor; sighted?: Tensor } {
  const [queries, keys] = logits.shape.slice(-2) as [number, number];
  const [row, column] = [iota([queries, 1]), iota(keys)];
  const selfless = selfLogit === undefined ? logits : where(equal(row, column), selfLogit, logits);
  // Members are sorted by position: later ones are right of the diagonal.
  const later = causal ? where(less(row, column), hidden, 0) : undefined;
  if (keyMask === undefined) return { logits: later === undefined ? selfless : add(selfless, later) };
  const [batch, heads] = logits.shape as [number, number];
  const everywhere = broadcastTo(expandDims(where(cast(keyMask, "bool"), 0, hidden), 1), [
    batch,
    heads,
    keyMask.shape[1]!,
  ]);
  const padding = expandDims(gather(reshape(everywhere, [-1]), keyRows), 3);
  const hiding = later === undefined ? padding : minimum(padding, later);
  const sighted = cast(less(hidden / 2, max(hiding, { axes: -1, keepDims: true })), "float32");
  return { logits: add(selfless, hiding), sighted };
}

/**
 * What each position looked at in the first {@link clustersShown} of its clusters: weights of clusters [B, H, k, W, W] moved to their
 * queries' positions and divided by the number of clusters of the query.
 */
function byQuery(
  weights: Tensor,
  counts: Tensor,
  { queries, keys, countEpsilon = 0 }: BalancedOptions,
  length: number,
): AttentionMap {
  const [batch, heads, clusters, , width] = weights.shape as [number, number, number, number, number];
  const shown = Math.min(clusters, clustersShown);
  const places = batch * heads * length;
  // For each member, the rank of this cluster among the member's clusters.
  const cells = add(queries, reshape(mul(iota(batch * heads * clusters), length), [batch, heads, clusters, 1]));
  const members = scatterSet(zeros([places * clusters]), cells, ones(queries.shape));
  const before = cumsum(reshape(members, [batch, heads, clusters, length]), 2, { exclusive: true });
  const rank = cast(gather(reshape(before, [-1]), cells), "int32");
  // Weights that are not shown go to an extra row, which is cut off.
  const rows = where(less(rank, shown), add(mul(rowsOf(queries, length), shown), rank), places * shown);
  const put = (x: Tensor): Tensor => {
    const all = scatterSet(zeros([places * shown + 1, width], x.dtype), rows, x);
    return reshape(slice(all, 0, 0, places * shown), [batch, heads, length, shown * width]);
  };
  const share = div(1, where(equal(counts, 0), 1, add(counts, countEpsilon)));
  return {
    weights: mul(put(weights), reshape(share, [batch, heads, length, 1])),
    keys: put(broadcastTo(expandDims(keys, 3), weights.shape)),
  };
}
