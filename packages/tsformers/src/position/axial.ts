import {
  add,
  type Concrete,
  cast,
  concat,
  div,
  floor,
  gather,
  minimum,
  mul,
  ones,
  splitKey,
  sub,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import type { PositionEmbedding } from "../kinds/index.ts";
import { type Context, evaluation } from "../kinds/layer.ts";
import { dropout } from "../nn/dropout.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/** rows [L₁, C₁], columns [L₂, C₂] */
export type AxialParams = { rows: Tensor; columns: Tensor };

export type AxialOptions = {
  /** L₁ and L₂: positions 0, …, L₁·L₂ − 1 fill a grid row by row. */
  readonly grid: readonly [rows: number, columns: number];
  /** C₁ and C₂, widths that are concatenated; or one width, in which both vectors are added. */
  readonly widths: readonly [rows: number, columns: number] | number;
  /** Probability, in training, that a whole row or column of the grid loses its vector. Default: 0. */
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

/**
 * Axial position embedding: one learned vector for the row and one for the column of a grid that positions fill row by row.
 *
 * `P[p] = [E₁[⌊p / L₂⌋], E₂[p mod L₂]]`, or their sum.
 *
 * @shape  positions [T] or [B, T] int32 → [..., C₁ + C₂], or [..., C]
 * @cost   L₁·C₁ + L₂·C₂ parameters, for L₁·L₂ positions
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer", arXiv:2001.04451; the grid: Ho et al. 2019, arXiv:1912.12180
 * @differs positions beyond the grid take the vector of its last cell; dropout is the same for all rows of a batch
 */
export function axial({
  grid: [rows, columns],
  widths,
  dropoutRate = 0,
  initial = normalInitial(),
}: AxialOptions): PositionEmbedding<AxialParams> {
  const [rowWidth, columnWidth] = typeof widths === "number" ? [widths, widths] : widths;
  return {
    length: rows * columns,
    init: (key): Concrete<AxialParams> => {
      const [first, second] = splitKey(key, 2);
      return { rows: initial(first!, [rows, rowWidth]), columns: initial(second!, [columns, columnWidth]) };
    },
    apply: (params, positions, context = evaluation) => {
      const { row, column } = cellOf(minimum(positions, rows * columns - 1), columns);
      const [ofRow, ofColumn] = [
        gather(dropRows(params.rows, dropoutRate, context, "rows"), row),
        gather(dropRows(params.columns, dropoutRate, context, "columns"), column),
      ];
      return typeof widths === "number" ? add(ofRow, ofColumn) : concat([ofRow, ofColumn], -1);
    },
  };
}

function dropRows(table: Tensor, rate: number, context: Context, site: string): Tensor {
  return rate === 0 ? table : mul(table, dropout(ones([table.shape[0]!, 1], table.dtype), rate, context, site));
}

/** Row and column of positions that fill a grid of `columns` columns row by row. */
function cellOf(positions: Tensor, columns: number): { row: Tensor; column: Tensor } {
  // Adding half a column guards against rounding: exact for positions below 2^22.
  const row = cast(floor(div(add(cast(positions, "float32"), 0.5), columns)), "int32");
  return { row, column: sub(positions, mul(row, columns)) };
}

/** Two factors as equal as possible whose product is at least `length`. */
export function axialGrid(length: number): readonly [rows: number, columns: number] {
  const columns = Math.ceil(Math.sqrt(length));
  return [Math.ceil(length / columns), columns];
}

export type AxialPositionSettings = { readonly dropoutRate?: number };

export const axialEntry: PositionEntry<"axial", AxialPositionSettings> = /* @__PURE__ */ positionEntry({
  name: "axial",
  title: "Axial positions",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer: The Efficient Transformer, arXiv:2001.04451",
  category: "inputs",
  summary: "trained vectors for the row and the column of a grid that positions fill, added to the inputs",
  formula: "x[t] = token[t] + [E₁[⌊t / L₂⌋], E₂[t mod L₂]], L₁·L₂ ≥ length",
  cost: "(L₁ + L₂)·C/2 parameters, about √length·C",
  beyond: "undefined: positions past the grid take the vector of its last cell; generation ends before them",
  options: () =>
    z.strictObject({
      dropoutRate: z
        .number()
        .min(0)
        .lt(1)
        .default(0)
        .describe("with which probability a row or column of the grid loses its vector in training"),
    }),
  make: (settings, { length, modelWidth }) => {
    const half = Math.floor(modelWidth / 2);
    return { positions: axial({ grid: axialGrid(length), widths: [half, modelWidth - half], ...settings }) };
  },
});
