import {
  add,
  and,
  argmax,
  broadcastTo,
  cast,
  concat,
  constant,
  cumsum,
  expandDims,
  fromNumbers,
  iota,
  less,
  matmul,
  max,
  minimum,
  mul,
  pad,
  relu,
  reshape,
  slice,
  softmax,
  sum,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { hidden } from "../core/query-block.ts";

/** 1 for real positions, [B, N·W], and 1 for blocks that have any, [B, N]; B is 1 where rows do not differ. */
export type BlockMask = { readonly positions: Tensor; readonly blocks: Tensor };

/** Masks of N blocks of W positions; undefined where everything is real: no padding, and the last block full. */
export function blockMask(length: number, block: number, keyMask?: Tensor): BlockMask | undefined {
  const missing = (block - (length % block)) % block;
  if (keyMask === undefined && missing === 0) return undefined;
  const real =
    keyMask === undefined
      ? constant(fromNumbers(new Float32Array(length).fill(1), [1, length]))
      : cast(keyMask, "float32");
  const positions = pad(real, [
    [0, 0],
    [0, missing],
  ]);
  return { positions, blocks: max(reshape(positions, [positions.shape[0]!, -1, block]), { axes: 2 }) };
}

/** Pads the sequence to whole blocks: [..., T, D] → [..., N·W, D], zeros at the end. */
export function fillBlocks(x: Tensor, block: number): Tensor {
  const axis = x.shape.length - 2;
  const missing = (block - (x.shape[axis]! % block)) % block;
  if (missing === 0) return x;
  return pad(
    x,
    x.shape.map((_, at): [number, number] => [0, at === axis ? missing : 0]),
  );
}

/**
 * Summary of each block for the sorting network: the sum of its positions. Causal: the sum of all positions up to the first of
 * the block, since the block's first query may know no more.
 *
 * @shape x [B, T, C] → [B, N, C]
 */
export function blockSummaries(x: Tensor, block: number, causal: boolean, mask?: BlockMask): Tensor {
  const whole = fillBlocks(x, block);
  const real = mask === undefined ? whole : mul(whole, cast(expandDims(mask.positions, -1), x.dtype));
  const blocks = reshape(real, [x.shape[0]!, -1, block, x.shape[2]!]);
  const sums = sum(blocks, { axes: 2 });
  if (!causal) return sums;
  const first = reshape(slice(blocks, 2, 0, 1), sums.shape);
  return add(cumsum(sums, 1, { exclusive: true }), first);
}

/** Two layers per head: [H, C, F] and [H, F, M], where M is the largest number of blocks. */
export type SortNetParams = { first: Tensor; second: Tensor };

/**
 * Logits of the sorting network, which say how much each block wants the keys of each other: `R = F₂·relu(F₁·ψ)`.
 *
 * @shape summaries [B, N, C] → [B, H, N, N], row i for the sorted block i
 */
export function sortLogits(
  { first, second }: SortNetParams,
  summaries: Tensor,
  blocks: number = summaries.shape[1]!,
): Tensor {
  const hidden = relu(matmul(expandDims(summaries, 1), cast(first, summaries.dtype)));
  return matmul(hidden, cast(slice(second, 2, 0, blocks), summaries.dtype));
}

/**
 * Which source blocks (columns) each sorted block (rows) may use: blocks that are not empty, and when causal, blocks that end before
 * it begins. Bool, broadcast to [B, 1, N, N]; undefined where all.
 *
 * @param wholeColumns also hide the rows of blocks without real positions, which would otherwise count in the column sums
 */
export function visibleBlocks(
  blocks: number,
  causal: boolean,
  wholeColumns: boolean,
  mask?: BlockMask,
): Tensor | undefined {
  const past = causal ? less(iota(blocks), iota([blocks, 1])) : undefined;
  if (mask === undefined) return past && reshape(past, [1, 1, blocks, blocks]);
  const real = cast(mask.blocks, "bool");
  const sources = expandDims(expandDims(real, 1), 1);
  const both = wholeColumns ? and(sources, expandDims(expandDims(real, 1), -1)) : sources;
  return past === undefined ? both : and(both, past);
}

export type SortedOptions = {
  /** W, positions in a block. */
  readonly block: number;
  readonly causal: boolean;
  /** Whether queries also look at the keys of their own block. */
  readonly local: boolean;
  /** SortCut: all queries look at the first `cut` sorted blocks, instead of each at its own. */
  readonly cut?: number;
  /** Factor of the logits. */
  readonly scale: number;
  /** From {@link visibleBlocks}. */
  readonly visible?: Tensor;
  readonly mask?: BlockMask;
  readonly dropoutRate?: number;
  readonly context: Context;
};

/**
 * Softmax attention over sorted keys and those of the query's own block.
 *
 * `K′ = S·K`, `V′ = S·V` over blocks: key p of sorted block i is `Σ_j S[i,j]·K[j,p]`, where padding contributes nothing; it is hidden
 * if all its sources are padding or not visible. One softmax over both parts.
 *
 * @param weights the sort matrix S, [B, H, N, N]
 * @shape  q, k, v [B, H, T, D] → mixed [B, H, T, D]
 * @cost   O(B·H·T·(W + N)·D) time, O(B·H·T·(W + D)) memory
 * @throws RangeError for SortCut when causal: the first queries would see sorted blocks from the end
 */
export function sortedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  weights: Tensor,
  options: SortedOptions,
): { readonly mixed: Tensor; readonly map: () => AttentionMap } {
  const { block, causal, local, cut, scale, mask, dropoutRate = 0, context } = options;
  if (cut !== undefined && causal) throw new RangeError("sortedAttention: SortCut is not causal");
  const [batch, heads, length, width] = q.shape as [number, number, number, number];
  const inBlocks = (x: Tensor): Tensor => reshape(fillBlocks(x, block), [batch, heads, -1, block, x.shape[3]!]);
  const blocks = weights.shape[2]!;
  const sort = cut === undefined ? weights : slice(weights, 2, 0, Math.min(cut, blocks));
  const real = mask && reshape(mask.positions, [mask.positions.shape[0]!, 1, blocks, block, 1]);
  const source = (x: Tensor): Tensor => {
    const own = inBlocks(x);
    const kept = real === undefined ? own : mul(own, cast(real, x.dtype));
    const rows = matmul(cast(sort, x.dtype), reshape(kept, [batch, heads, blocks, -1]));
    const shared = cut === undefined ? [sort.shape[2]!, block] : [1, sort.shape[2]! * block];
    const sorted = reshape(rows, [batch, heads, ...shared, x.shape[3]!]);
    if (!local) return sorted;
    return concat([broadcastTo(sorted, [batch, heads, blocks, shared[1]!, x.shape[3]!]), own], 3);
  };
  const raw = cast(matmul(inBlocks(q), source(k), { transposeB: true, scale }), "float32");
  const hiding = hidingOf(blocks, sort.shape[2]!, options);
  const probabilities = softmax(hiding === undefined ? raw : add(raw, hiding));
  const blind = mask !== undefined || (causal && !local);
  const seeing = blind ? less(hidden / 2, max(hiding!, { axes: -1, keepDims: true })) : undefined;
  const sighted = seeing === undefined ? probabilities : mul(probabilities, cast(seeing, "float32"));
  const dropped = dropout(cast(sighted, v.dtype), dropoutRate, context, "attention");
  const outs = reshape(matmul(dropped, source(v)), [batch, heads, -1, width]);
  return {
    mixed: slice(outs, 2, 0, length),
    map: () => {
      const rows = slice(reshape(sighted, [batch, heads, -1, sighted.shape[4]!]), 2, 0, length);
      return { weights: rows, keys: positionsOf(sort, length, options) };
    },
  };
}

/** Added to logits [B, H, N, W, ·], broadcast: 0 where visible, −1e30 where hidden. Undefined where all is visible. */
function hidingOf(blocks: number, sorted: number, options: SortedOptions): Tensor | undefined {
  const { block, causal, local, cut, visible, mask } = options;
  const positions = mask && reshape(mask.positions, [mask.positions.shape[0]!, 1, blocks, 1, block]);
  const slots = visible && visibleSlots(slice(visible, 2, 0, sorted), block, positions);
  const shown = slots && cut !== undefined ? reshape(slots, [slots.shape[0]!, 1, 1, 1, -1]) : slots;
  const sortedHiding = shown && where(less(0, shown), 0, hidden);
  if (!local) return sortedHiding;
  const later = causal ? where(less(iota([block, 1]), iota(block)), hidden, 0) : undefined;
  const padding = positions && where(less(0, positions), 0, hidden);
  const ownHiding = later && padding ? minimum(later, padding) : (later ?? padding);
  if (sortedHiding === undefined && ownHiding === undefined) return undefined;
  const batch = Math.max(sortedHiding?.shape[0] ?? 1, padding?.shape[0] ?? 1);
  const spread = (x: Tensor | undefined, width: number): Tensor =>
    broadcastTo(x ?? constant(0, "float32"), [batch, 1, blocks, block, width]);
  return concat([spread(sortedHiding, (cut === undefined ? 1 : sorted) * block), spread(ownHiding, block)], -1);
}

/** The number of visible source positions of each position of a sorted block: [B or 1, 1, rows, 1, W]. */
export function visibleSlots(visible: Tensor, block: number, positions?: Tensor): Tensor {
  const [batch, , rows, blocks] = visible.shape as [number, number, number, number];
  const sources = cast(visible, "float32");
  const counts =
    positions === undefined
      ? broadcastTo(sum(sources, { axes: 3, keepDims: true }), [batch, 1, rows, block])
      : matmul(sources, reshape(positions, [positions.shape[0]!, 1, blocks, block]));
  return expandDims(counts, 3);
}

/** Positions of the keys; for a sorted key, its position in the source block with the largest weight: [B, H, T, ·]. */
function positionsOf(sort: Tensor, length: number, { block, local, cut, mask }: SortedOptions): Tensor {
  const [batch, heads, sorted, blocks] = sort.shape as [number, number, number, number];
  const inside = iota(block);
  const real = mask && reshape(mask.positions, [mask.positions.shape[0]!, 1, 1, blocks, block]);
  const heaviest = real === undefined ? expandDims(argmax(sort, -1), -1) : argmax(mul(expandDims(sort, -1), real), 3);
  const rows = cut === undefined ? [sorted, 1, block] : [1, 1, sorted * block];
  const spread = (x: Tensor): Tensor => broadcastTo(x, [batch, heads, blocks, block, x.shape.at(-1)!]);
  const there = spread(reshape(add(mul(heaviest, block), inside), [batch, heads, ...rows]));
  const own = add(reshape(mul(iota(blocks), block), [1, 1, blocks, 1, 1]), inside);
  const all = local ? concat([there, spread(own)], -1) : there;
  return minimum(slice(reshape(all, [batch, heads, -1, all.shape[4]!]), 2, 0, length), length - 1);
}
