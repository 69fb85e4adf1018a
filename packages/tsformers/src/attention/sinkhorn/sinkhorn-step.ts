import {
  add,
  and,
  type Concrete,
  cast,
  concat,
  cond,
  constant,
  div,
  equal,
  exp,
  full,
  gather,
  iota,
  less,
  lessEqual,
  logSoftmax,
  matmul,
  max,
  mod,
  mul,
  reshape,
  scatterSet,
  slice,
  softmax,
  stack,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import { hidden } from "../core/query-block.ts";
import { type SortNetParams, sortLogits, visibleSlots } from "./sinkhorn-attention.ts";
import { logAddExp } from "./sinkhorn-balance.ts";

/** Decode state, with room for N blocks of W positions. */
export type SinkhornState = {
  /** [B, H, N·W, D], padding as 0. */
  keys: Tensor;
  values: Tensor;
  /** 1 for real positions, [B, N·W]. */
  real: Tensor;
  /** The sum of all real positions, [B, 1, C]. */
  summary: Tensor;
  /** Logarithms of the column sums so far, for each balancing iteration, [iterations, B, H, 1, N]. */
  columns: Tensor;
  sorted: Sorted;
};

/** The sorted keys and values of the current block [B, H, W, D], and which of them exist, [B, 1, 1, W]. */
type Sorted = { keys: Tensor; values: Tensor; slots: Tensor };

export type SinkhornExtents = {
  readonly batch: number;
  readonly heads: number;
  readonly blocks: number;
  readonly block: number;
  readonly headWidth: number;
  readonly modelWidth: number;
  readonly iterations: number;
};

export function emptySinkhornState(of: SinkhornExtents): Concrete<SinkhornState> {
  const { batch, heads, blocks, block, headWidth } = of;
  const all = full([batch, heads, blocks * block, headWidth], 0);
  const one = full([batch, heads, block, headWidth], 0);
  return {
    keys: all,
    values: all,
    real: full([batch, blocks * block], 0),
    summary: full([batch, 1, of.modelWidth], 0),
    columns: full([of.iterations, batch, heads, 1, blocks], hidden),
    sorted: { keys: one, values: one, slots: full([batch, 1, 1, block], 0) },
  };
}

export type SinkhornStepOptions = {
  readonly temperature: number;
  /** Factor of the logits. */
  readonly scale: number;
  readonly local: boolean;
  /** 1 where the position is real, 0 for padding, [B, 1]. */
  readonly keyMask?: Tensor;
};

/**
 * One step of causal Sinkhorn attention with column sums over the rows so far. At the first position of a block, its row of the sort
 * matrix is balanced, for which the column sums of earlier rows suffice, and the keys of past blocks are mixed by it.
 *
 * @shape  x [B, 1, C], q, k, v [B, H, 1, D] → mixed [B, H, 1, D]
 * @cost   O(B·H·W·D) time per position, and O(B·H·N·(W·D + iterations)) once per block; memory O(B·H·N·W·D)
 */
export function sinkhornStep(
  state: SinkhornState,
  sortNet: SortNetParams,
  { x, q, k, v }: Record<"x" | "q" | "k" | "v", Tensor>,
  position: Tensor,
  { temperature, scale, local, keyMask }: SinkhornStepOptions,
): { readonly mixed: Tensor; readonly state: SinkhornState } {
  const [batch, heads, room, width] = state.keys.shape as [number, number, number, number];
  const block = state.sorted.keys.shape[2]!;
  const blocks = room / block;
  const place = mod(position, block);
  const current = div(position, block);
  const real = keyMask === undefined ? undefined : cast(keyMask, "float32");
  const masked = (y: Tensor): Tensor =>
    real === undefined ? y : mul(y, cast(reshape(real, [batch, ...y.shape.slice(1).map(() => 1)]), y.dtype));
  const summary = add(state.summary, masked(x));

  const { columns, sorted } = cond(
    equal(place, 0),
    () => {
      const counts = max(reshape(state.real, [batch, blocks, block]), { axes: 2 });
      const visible = and(less(iota(blocks), current), less(0, reshape(counts, [batch, 1, 1, blocks])));
      const logits = mul(sortLogits(sortNet, summary, blocks), 1 / temperature);
      const { weights, columns } = balanceRow(logits, visible, state.columns);
      const mix = (all: Tensor): Tensor =>
        reshape(matmul(cast(weights, all.dtype), reshape(all, [batch, heads, blocks, -1])), [
          batch,
          heads,
          block,
          width,
        ]);
      const slots = reshape(visibleSlots(visible, block, state.real), [batch, 1, 1, block]);
      return { columns, sorted: { keys: mix(state.keys), values: mix(state.values), slots } };
    },
    () => ({ columns: state.columns, sorted: state.sorted }),
  );

  const write = (all: Tensor, entry: Tensor): Tensor => {
    const rows = add(mul(iota(batch * heads), room), position);
    const flat = scatterSet(reshape(all, [-1, width]), rows, reshape(masked(entry), [-1, width]));
    return reshape(flat, all.shape);
  };
  const one = real === undefined ? constant(full([batch], 1)) : reshape(real, [batch]);
  const known = scatterSet(reshape(state.real, [-1]), add(mul(iota(batch), room), position), one);
  const next = {
    keys: write(state.keys, k),
    values: write(state.values, v),
    real: reshape(known, [batch, room]),
    summary,
    columns,
    sorted,
  };
  /** The current block of [B, H, N·W, D], preceded by its sorted block. */
  const source = (all: Tensor, before: Tensor): Tensor => {
    if (!local) return before;
    const rows = add(mul(iota(batch * heads), blocks), current);
    const own = gather(reshape(all, [batch * heads * blocks, block * width]), rows);
    return concat([before, reshape(own, before.shape)], 2);
  };
  const ownReal = gather(reshape(next.real, [batch, blocks, block]), reshape(current, [1]), 1);
  const own = and(lessEqual(iota(block), place), less(0, reshape(ownReal, [batch, 1, 1, block])));
  const shown = less(0, sorted.slots);
  const visible = local ? concat([shown, own], 3) : shown;
  const logits = cast(matmul(q, source(next.keys, sorted.keys), { transposeB: true, scale }), "float32");
  const weights = softmax(where(visible, logits, hidden));
  const seeing = max(cast(visible, "float32"), { axes: 3, keepDims: true });
  const mixed = matmul(cast(mul(weights, seeing), v.dtype), source(next.values, sorted.values));
  return { mixed, state: next };
}

/**
 * Balances row i of the matrix, and updates the column sums for row i + 1.
 *
 * @shape logits [B, H, 1, N], visible bool [B, 1, 1, N], columns [iterations, B, H, 1, N] → weights [B, H, 1, N]
 */
function balanceRow(logits: Tensor, visible: Tensor, columns: Tensor): { weights: Tensor; columns: Tensor } {
  const next: Tensor[] = [];
  let x = where(visible, logits, hidden);
  for (let i = 0; i < columns.shape[0]!; i++) {
    x = where(visible, logSoftmax(x, -1), hidden);
    next.push(logAddExp(reshape(slice(columns, 0, i, i + 1), x.shape), x));
    x = where(visible, sub(x, next[i]!), hidden);
  }
  return { weights: exp(x), columns: next.length === 0 ? columns : stack(next) };
}
