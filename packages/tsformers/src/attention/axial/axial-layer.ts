import {
  type Concrete,
  cast,
  concat,
  constant,
  fromNumbers,
  ones,
  pad,
  type RandomKey,
  reshape,
  slice,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import type { AttentionMap, View } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import { linear } from "../../nn/linear.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import { type AttentionParams, joinHeads, splitHeads } from "../softmax/attention.ts";
import { axialAttention } from "./axial-attention.ts";

export type AxialSequentialParams = { row: AttentionParams; column: AttentionParams };

export type AxialAutoregressiveParams = AxialSequentialParams & { inner: AttentionParams };

export type AxialLayerOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** W: positions in a row of the grid; position i is in row ⌊i/W⌋. The last row may be shorter. */
  readonly columns: number;
  /** D, width of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  readonly bias?: boolean;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

/** An axis of the grid, and whether later positions along it are hidden. */
export type Along = { readonly axis: "row" | "column"; readonly causal: boolean };

/** Weights of one attention [B, H, T, W or R], and the key positions that they belong to [1, 1, T, W or R]. */
export type AxisMap = Required<Pick<AttentionMap, "weights" | "keys">>;

/** Queries, keys and values [B, H, T, D] of positions in raster order. */
export type Projected = { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor };

export type AxialLayer = {
  readonly headWidth: number;
  init(key: RandomKey): Concrete<AttentionParams>;
  /** Queries, keys and values of x [B, T, C]. */
  project(params: AttentionParams, x: Tensor, view: View): Projected;
  mix(projected: Projected, view: View, along: Along): { readonly mixed: Tensor; readonly map: () => AxisMap };
  /** Joins the heads and projects them back: mixed [B, H, T, D] → [B, T, C]. */
  out(params: AttentionParams, mixed: Tensor, context: Context, site: string): Tensor;
  /** The whole attention along one axis: project, attend, project back. */
  attend(
    params: AttentionParams,
    x: Tensor,
    at: { readonly view: View; readonly along: Along; readonly context: Context; readonly site: string },
  ): { readonly y: Tensor; readonly map: () => AxisMap };
};

/** Multi-head attention along the axes of a grid that a sequence fills row by row: the building block of the axial mixers. */
export function axialLayer(options: AxialLayerOptions): AxialLayer {
  const { modelWidth, heads, columns, dropoutRate = 0, bias = true, initial = normalInitial() } = options;
  const headWidth = headWidthOf("axial", options);
  if (!Number.isSafeInteger(columns) || columns < 1) {
    throw new RangeError(`axial: expected a whole number of at least 1 as "columns", got ${columns}`);
  }
  const toHeads = linear(modelWidth, heads * headWidth, { bias, initial });
  const toOut = linear(heads * headWidth, modelWidth, { bias, initial });
  const layer: AxialLayer = {
    headWidth,
    init: (key) => {
      const [q, k, v, o] = splitKey(key, 4);
      return { query: toHeads.init(q!), key: toHeads.init(k!), value: toHeads.init(v!), out: toOut.init(o!) };
    },
    project: (params, x, { rotate }) => {
      const [q, k, v] = [params.query, params.key, params.value].map((own) =>
        splitHeads(toHeads.apply(own, x), heads),
      ) as [Tensor, Tensor, Tensor];
      return { q: rotate?.query(q) ?? q, k: rotate?.key(k) ?? k, v: rotate?.value?.(v) ?? v };
    },
    mix: ({ q, k, v }, view, along) => {
      const length = q.shape[2]!;
      const keyMask = gridMask(view, length, columns, along);
      const grid = (x: Tensor) => toGrid(x, columns);
      const { mixed, weights } = axialAttention(grid(q), grid(k), grid(v), { ...along, ...present({ keyMask }) });
      return {
        mixed: fromGrid(mixed, length),
        map: () => ({ weights: fromGrid(weights(), length), keys: keysAlong(along.axis, length, columns) }),
      };
    },
    out: (params, mixed, context, site) =>
      dropout(toOut.apply(params.out, joinHeads(mixed)), dropoutRate, context, site),
    attend: (params, x, { view, along, context, site }) => {
      const { mixed, map } = layer.mix(layer.project(params, x, view), view, along);
      return { y: layer.out(params, mixed, context, site), map };
    },
  };
  return layer;
}

/** Attention maps side by side, each scaled by its share. */
export function joinAxisMaps(parts: readonly AxisMap[]): AxisMap {
  return parts.length === 1 ? parts[0]! : { weights: beside(parts, "weights"), keys: beside(parts, "keys") };
}

function beside(parts: readonly AxisMap[], of: "weights" | "keys"): Tensor {
  return concat(
    parts.map((part) => part[of]),
    -1,
  );
}

/** [B, H, T, D] → [B, H, R, W, D], the end of the last row filled with zeros. */
function toGrid(x: Tensor, columns: number): Tensor {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  const rows = Math.ceil(length / columns);
  const missing = rows * columns - length;
  const whole =
    missing === 0
      ? x
      : pad(x, [
          [0, 0],
          [0, 0],
          [0, missing],
          [0, 0],
        ]);
  return reshape(whole, [batch, heads, rows, columns, width]);
}

/** [B, H, R, W, ·] → [B, H, T, ·] */
function fromGrid(x: Tensor, length: number): Tensor {
  const [batch, heads, rows, columns, width] = x.shape as [number, number, number, number, number];
  const flat = reshape(x, [batch, heads, rows * columns, width]);
  return rows * columns === length ? flat : slice(flat, 2, 0, length);
}

/**
 * Mask of real grid cells, [B or 1, R, W]: 0 for padding and for cells missing from the last row. Undefined where nothing needs to
 * be hidden: causal attention never looks at the missing cells, since they come after every real position.
 */
function gridMask({ keyMask }: View, length: number, columns: number, { causal }: Along): Tensor | undefined {
  const rows = Math.ceil(length / columns);
  const missing = rows * columns - length;
  if (keyMask === undefined && (causal || missing === 0)) return undefined;
  const real = keyMask === undefined ? ones([1, length]) : cast(keyMask, "float32");
  const whole =
    missing === 0
      ? real
      : pad(real, [
          [0, 0],
          [0, missing],
        ]);
  return reshape(whole, [real.shape[0]!, rows, columns]);
}

/** The positions in a query's row or column, int32 [1, 1, T, W or R]. */
function keysAlong(axis: Along["axis"], length: number, columns: number): Tensor {
  const rows = Math.ceil(length / columns);
  const width = axis === "row" ? columns : rows;
  const keys = Array.from({ length: length * width }, (_, i) => {
    const [query, at] = [Math.floor(i / width), i % width];
    const key = axis === "row" ? query - (query % columns) + at : at * columns + (query % columns);
    // Cells past the end have weight 0; any valid position does as their index.
    return Math.min(key, length - 1);
  });
  return constant(fromNumbers(keys, [1, 1, length, width], "int32"));
}
