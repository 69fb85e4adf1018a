import {
  add,
  and,
  cast,
  div,
  equal,
  expandDims,
  fill,
  full,
  gather,
  greater,
  iota,
  lessEqual,
  matmul,
  max,
  mod,
  mul,
  notEqual,
  reshape,
  softmax,
  sub,
  type Tensor,
  where,
  zerosLike,
} from "@tsformers/engine";
import type { Recurrent } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { maskAt } from "../core/mask-at.ts";
import { hidden } from "../core/query-block.ts";
import type { AxialAutoregressiveParams, AxialLayer, AxialLayerOptions, Projected } from "./axial-layer.ts";

/** Decode state of {@link axialRecurrent} for a grid of W columns. `real` is 1 for positions that are written and are not padding. */
export type AxialState = {
  /** Ring of two rows, the current and the previous one: inputs [B, 2W, C]; queries, keys and values [B, H, 2W, D]. */
  rows: { x: Tensor; q: Tensor; k: Tensor; v: Tensor; real: Tensor };
  /** For each column, keys and values of the rows above: [B, H, W, R, D]. */
  columns: { k: Tensor; v: Tensor; real: Tensor };
  /** Keys and values of the inner attention in the current row: [B, H, W, D]. */
  inner: { k: Tensor; v: Tensor; real: Tensor };
};

/**
 * Decodes the autoregressive arrangement token by token. What the row above contributes to column c is computed when column c of
 * the next row needs it, so that the work is spread evenly over the steps.
 */
export function axialRecurrent(
  layer: AxialLayer,
  { modelWidth, heads, columns }: AxialLayerOptions,
): Recurrent<AxialAutoregressiveParams, AxialState> {
  const { headWidth } = layer;
  return {
    start: (batch, capacity) => {
      const rows = Math.ceil(capacity / columns);
      const empty = (...extents: number[]) => full([batch, heads, ...extents, headWidth], 0);
      const ring = 2 * columns;
      return {
        rows: {
          x: full([batch, ring, modelWidth], 0),
          q: empty(ring),
          k: empty(ring),
          v: empty(ring),
          real: full([batch, ring], 0),
        },
        columns: { k: empty(columns, rows), v: empty(columns, rows), real: full([batch, columns, rows], 0) },
        inner: { k: empty(columns), v: empty(columns), real: full([batch, columns], 0) },
      };
    },
    step: (params, x, state, { position, view }) => {
      const mask = maskAt(view.keyMask, position);
      const real = mask === undefined ? fill([x.shape[0]!, 1], 1) : cast(mask, "float32");
      const [row, column] = [div(position, columns), mod(position, columns)];

      // This token joins its row. The ring's other half is the row above.
      const slot = mod(position, 2 * columns);
      const isSlot = equal(iota(2 * columns), slot);
      const outer = mask === undefined ? x : mul(x, expandDims(cast(mask, x.dtype), 2));
      const own = layer.project(params.row, outer, view);
      const rows = {
        x: where(expandDims(isSlot, 1), outer, state.rows.x),
        q: written(state.rows.q, own.q, isSlot),
        k: written(state.rows.k, own.k, isSlot),
        v: written(state.rows.v, own.v, isSlot),
        real: where(isSlot, real, state.rows.real),
      };

      // The pixel above looks along its whole row,
      const above = reshape(mod(add(position, columns), 2 * columns), [1]);
      const isAbove = notEqual(div(iota(2 * columns), columns), mod(row, 2));
      const alongRow = { q: gather(rows.q, above, 2), k: rows.k, v: rows.v };
      const a = add(
        gather(rows.x, above, 1),
        layer.out(params.row, seen(alongRow, shown(rows.real, isAbove)), evaluation, "row"),
      );

      // then up its column;
      const up = layer.project(params.column, a, view);
      const isColumn = equal(iota(columns), column);
      const rowAbove = sub(row, 1);
      const isRow = equal(iota(state.columns.k.shape[3]!), rowAbove);
      const isCell = and(expandDims(isColumn, 1), isRow);
      const realAbove = gather(rows.real, above, 1);
      const table = {
        k: where(expandDims(isCell, 2), expandDims(up.k, 3), state.columns.k),
        v: where(expandDims(isCell, 2), expandDims(up.v, 3), state.columns.v),
        real: where(isCell, expandDims(realAbove, 2), state.columns.real),
      };
      const at = reshape(column, [1]);
      const pick = (x: Tensor) => reshape(gather(x, at, 2), [x.shape[0]!, heads, -1, headWidth]);
      const alongColumn = { q: up.q, k: pick(table.k), v: pick(table.v) };
      const realColumn = reshape(gather(table.real, at, 1), [x.shape[0]!, -1]);
      const isHigher = lessEqual(iota(realColumn.shape[1]!), rowAbove);
      const o = add(a, layer.out(params.column, seen(alongColumn, shown(realColumn, isHigher)), evaluation, "column"));
      const u = where(greater(row, 0), o, zerosLike(o));

      // and this token looks along its own row as far as itself.
      const now = layer.project(params.inner, add(x, u), view);
      const inner = {
        k: written(state.inner.k, now.k, isColumn),
        v: written(state.inner.v, now.v, isColumn),
        real: where(isColumn, real, state.inner.real),
      };
      const isPast = lessEqual(iota(columns), column);
      const mixed = seen({ q: now.q, k: inner.k, v: inner.v }, shown(inner.real, isPast));
      const y = add(u, layer.out(params.inner, mixed, evaluation, "inner"));
      return { y, state: { rows, columns: table, inner } };
    },
  };
}

/** `entries` [B, H, L, D] with `entry` [B, H, 1, D] written where `isSlot` [L] is true. */
function written(entries: Tensor, entry: Tensor, isSlot: Tensor): Tensor {
  return where(expandDims(isSlot, 1), entry, entries);
}

/** Positions that are both real [B, L] and chosen [L]: bool [B, 1, 1, L]. */
function shown(real: Tensor, chosen: Tensor): Tensor {
  return expandDims(expandDims(and(cast(real, "bool"), chosen), 1), 1);
}

/** Attention of one query, [B, H, 1, D]; 0 where it sees no key. */
function seen({ q, k, v }: Projected, visible: Tensor): Tensor {
  const raw = matmul(q, k, { transposeB: true, scale: 1 / Math.sqrt(q.shape.at(-1)!) });
  const logits = raw.dtype === "float16" ? cast(raw, "float32") : raw;
  const weights = softmax(add(logits, cast(where(visible, 0, hidden), logits.dtype)));
  const sighted = mul(weights, max(cast(visible, weights.dtype), { axes: -1, keepDims: true }));
  return matmul(cast(sighted, v.dtype), v);
}
