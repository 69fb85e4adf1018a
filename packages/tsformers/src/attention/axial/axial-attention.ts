import {
  add,
  and,
  cast,
  expandDims,
  greaterEqual,
  iota,
  matmul,
  max,
  mul,
  pad,
  slice,
  softmax,
  type Tensor,
  transpose,
  where,
  zerosLike,
} from "@tsformers/engine";
import { hidden } from "../core/query-block.ts";

export type AxialAttentionOptions = {
  /** The axis of the grid along which positions attend to one another; the other axis is treated as batch. */
  readonly axis: "row" | "column";
  /** Whether a position sees only itself and what comes before it along the axis. */
  readonly causal: boolean;
  /** 1 for real positions, 0 for padding, [B, R, W]. */
  readonly keyMask?: Tensor;
  /** Factor of the logits. Default: 1/√D. */
  readonly scale?: number;
};

/**
 * Softmax attention along one axis of a grid: each row, or each column, is a sequence of its own.
 *
 * `out = softmax(q·kᵀ/√D)·v` over the positions of one row (axis "row") or of one column. A query that sees no key gets 0.
 *
 * @shape  q, k, v [B, H, R, W, D] for a grid of R rows and W columns → mixed [B, H, R, W, D]; weights [B, H, R, W, W] over
 *   the columns, or [B, H, R, W, R] over the rows
 * @cost   O(B·H·R·W·(W or R)·D) time, as many weights as that without D: n√n for a square grid of n
 * @source Ho et al. 2019, "Axial Attention in Multidimensional Transformers", §3, arXiv:1912.12180
 */
export function axialAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AxialAttentionOptions,
): { readonly mixed: Tensor; readonly weights: () => Tensor } {
  const { axis, causal, keyMask, scale = 1 / Math.sqrt(q.shape.at(-1)!) } = options;
  const along = (x: Tensor): Tensor => (axis === "row" ? x : transpose(x, [0, 1, 3, 2, 4]));
  const mask = keyMask && (axis === "row" ? keyMask : transpose(keyMask, [0, 2, 1]));
  const raw = matmul(along(q), along(k), { transposeB: true, scale });
  const logits = raw.dtype === "float16" ? cast(raw, "float32") : raw;
  const visible = visibleAlong(logits.shape.at(-1)!, causal, mask);
  const shown = visible === undefined ? logits : add(logits, cast(where(visible, 0, hidden), logits.dtype));
  const weights = cast(sighted(softmax(shown), visible, mask), q.dtype);
  return { mixed: along(matmul(weights, along(v))), weights: () => along(weights) };
}

/** Visibility mask, bool, broadcast to [B, H, lines, L, L]; undefined where every pair is visible. */
function visibleAlong(length: number, causal: boolean, mask: Tensor | undefined): Tensor | undefined {
  const real = mask && expandDims(expandDims(cast(mask, "bool"), 1), 3);
  if (!causal) return real;
  const before = greaterEqual(expandDims(iota(length), 1), iota(length));
  return real === undefined ? before : and(before, real);
}

/** Sets the weights of queries that see no key to 0. Without padding every query sees at least itself. */
function sighted(weights: Tensor, visible: Tensor | undefined, mask: Tensor | undefined): Tensor {
  if (mask === undefined || visible === undefined) return weights;
  return mul(weights, max(cast(visible, weights.dtype), { axes: -1, keepDims: true }));
}

/** Shifts a grid down by one row; the first row becomes zeros. x is [B, T, C] in raster order. */
export function shiftDown(x: Tensor, columns: number): Tensor {
  const length = x.shape[1]!;
  if (length <= columns) return zerosLike(x);
  return pad(slice(x, 1, 0, length - columns), [
    [0, 0],
    [columns, 0],
    [0, 0],
  ]);
}

/**
 * What a position may know of the rows above: `shiftDown(column(row(x)))`, which every position of a row may see in full.
 *
 * `row` and `column` are functions of [B, T, C] in raster order: `row` lets the positions of a row see one another without a mask,
 * `column` lets a position see itself and the positions above it. After the shift, position (r, c) depends on all of rows 0 … r − 1
 * and on nothing else; causal attention along row r adds the positions left of c. Together they cover everything that comes before.
 *
 * @source Ho et al. 2019, §3.1 and figure 2: the outer decoder
 */
export function rowsAbove(
  x: Tensor,
  columns: number,
  { row, column }: { readonly row: (x: Tensor) => Tensor; readonly column: (x: Tensor) => Tensor },
): Tensor {
  return shiftDown(column(row(x)), columns);
}
