import {
  add,
  type Concrete,
  cast,
  concat,
  equal,
  expandDims,
  full,
  gather,
  iota,
  less,
  log,
  matmul,
  maximum,
  mul,
  reshape,
  scatterSet,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";
import { self, unseen } from "./lsh-reach.ts";
import type { Rows } from "./lsh-windows.ts";

/**
 * Decode state: keys and values of the positions so far, with room for L, [B, H, L, D], and the positions of the latest tokens of each
 * bucket, int32 [B, H, R, buckets, W], −1 where there is none.
 */
export type LshState = { key: Tensor; value: Tensor; recent: Tensor };

export type LshStateSizes = {
  readonly heads: number;
  readonly headWidth: number;
  readonly rounds: number;
  /** Number of buckets, including that of padding. */
  readonly buckets: number;
  /** W: how many of the latest tokens of a bucket are kept. */
  readonly window: number;
};

export function startLsh(batch: number, capacity: number, sizes: LshStateSizes): Concrete<LshState> {
  const { heads, headWidth, rounds, buckets, window } = sizes;
  return {
    key: full([batch, heads, capacity, headWidth], 0),
    value: full([batch, heads, capacity, headWidth], 0),
    recent: full([batch, heads, rounds, buckets, window], -1, "int32"),
  };
}

/**
 * One decoding step: attention of one token over the last W tokens of its bucket in each round, and over itself only if there are none.
 *
 * @param buckets int32 [B, H, R, 1]
 * @param position int32 scalar
 * @shape  q, k, v [B, H, 1, D] → mixed [B, H, 1, D]
 * @cost   O(B·H·R·W·D) time, independent of the position
 */
export function stepLsh(
  state: LshState,
  { q, k, v }: Rows,
  buckets: Tensor,
  { position, scale, countsOnce }: { readonly position: Tensor; readonly scale: number; readonly countsOnce?: true },
): { readonly mixed: Tensor; readonly state: LshState } {
  const [batch, heads, rounds, count, window] = state.recent.shape as [number, number, number, number, number];
  const [, , capacity, width] = state.key.shape as [number, number, number, number];
  const lines = batch * heads;
  const first = mul(iota(lines), capacity);
  const store = (into: Tensor, one: Tensor): Tensor =>
    scatterSet(
      reshape(into, [lines * capacity, width]),
      add(first, position),
      reshape(cast(one, "float32"), [lines, width]),
    );
  const [key, value] = [store(state.key, k), store(state.value, v)];

  const lists = reshape(state.recent, [lines * rounds * count, window]);
  const own = add(mul(iota(lines * rounds), count), reshape(buckets, [lines * rounds]));
  const before = gather(lists, own);
  const now = add(zeros([lines * rounds, 1], "int32"), position);
  const recent = scatterSet(lists, own, concat([slice(before, 1, 1), now], 1));

  const tokens = reshape(before, [lines, rounds * window]);
  const rows = add(maximum(tokens, 0), expandDims(first, 1));
  const query = reshape(cast(q, "float32"), [lines, 1, width]);
  const products = reshape(matmul(query, gather(key, rows), { transposeB: true, scale }), [lines, rounds * window]);
  const counted = countsOnce ? sub(products, log(repetitions(tokens))) : products;
  const seen = where(less(tokens, 0), 4 * unseen, counted);
  const weights = expandDims(softmax(concat([seen, add(zeros([lines, 1]), self)], 1)), 1);
  const values = concat([gather(value, rows), reshape(cast(v, "float32"), [lines, 1, width])], 1);
  return {
    mixed: cast(reshape(matmul(weights, values), [batch, heads, 1, width]), v.dtype),
    state: {
      key: reshape(key, state.key.shape),
      value: reshape(value, state.value.shape),
      recent: reshape(recent, state.recent.shape),
    },
  };
}

/** How often each number occurs in its row, [N, W] → [N, W]. */
function repetitions(x: Tensor): Tensor {
  return sum(cast(equal(expandDims(x, 1), expandDims(x, 2)), "float32"), { axes: -1 });
}
