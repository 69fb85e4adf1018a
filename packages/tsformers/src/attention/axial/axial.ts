import { add, type Concrete, cast, expandDims, mul, pad, slice, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { AttentionMap, Mixer, MixerInput, Recurrent } from "../../kinds/index.ts";
import { positionCount } from "../../schema/count.ts";
import { oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import { rowsAbove } from "./axial-attention.ts";
import { axialRecurrent } from "./axial-decode.ts";
import {
  type AxialAutoregressiveParams,
  type AxialLayerOptions,
  type AxialSequentialParams,
  type AxisMap,
  axialLayer,
  joinAxisMaps,
} from "./axial-layer.ts";

export type { AxialAutoregressiveParams, AxialSequentialParams } from "./axial-layer.ts";

/**
 * Axial attention with both axes at once: a position attends along its row and along its column, and the results are added.
 *
 * `y = (row(q, k, v) + column(q, k, v))·W_out`, each a softmax of its own over the same projections: the weights of a query sum to 2.
 * Bidirectional.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(W + T/W)·C) time beside the projections: n√n with W near √n
 * @source Ho et al. 2019, "Axial Attention in Multidimensional Transformers", §3, arXiv:1912.12180
 * @differs the paper takes the axes one after the other, {@link axialSequential}; some implementations add them instead, which needs
 *   half the projections
 */
export function axialSum(options: AxialLayerOptions): Mixer<AttentionParams> {
  const layer = axialLayer(options);
  return {
    name: "axial",
    sees: "all",
    init: layer.init,
    apply: (params, input, context) => {
      const { x, view } = expectPlain(input);
      const projected = layer.project(params, x, view);
      const [row, column] = [layer.mix(projected, view, acrossRows), layer.mix(projected, view, acrossColumns)];
      const y = layer.out(params, add(row.mixed, column.mixed), context, "out");
      return { y, map: () => joinAxisMaps([row.map(), column.map()]) };
    },
  };
}

/**
 * Axial attention, one axis after the other: along rows, then along columns, after which every position has seen every other.
 *
 * `h = x + row(x)`, `y = row(x) + column(h)`, so that together with the block's own residual connection the two are layers in
 * sequence. Bidirectional. `map()` shows the two attentions side by side, each with half the weight; their product reaches all positions.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(W + T/W)·C) time beside the projections: n√n with W near √n
 * @source Ho et al. 2019, §3, arXiv:1912.12180
 */
export function axialSequential(options: AxialLayerOptions): Mixer<AxialSequentialParams> {
  const layer = axialLayer(options);
  return {
    name: "axial",
    sees: "all",
    init: (key): Concrete<AxialSequentialParams> => {
      const [row, column] = splitKey(key, 2);
      return { row: layer.init(row!), column: layer.init(column!) };
    },
    apply: (params, input, context) => {
      const { x, view } = expectPlain(input);
      const row = layer.attend(params.row, x, { view, along: acrossRows, context, site: "row" });
      const h = add(x, row.y);
      const column = layer.attend(params.column, h, { view, along: acrossColumns, context, site: "column" });
      return { y: add(row.y, column.y), map: () => evenly([row.map(), column.map()]) };
    },
  };
}

/**
 * Causal axial attention in the arrangement of the Axial Transformer: an outer part for the rows above, an inner part for the row so far.
 *
 * Outer: `a = x + row(x)`, unmasked within each row; `o = a + column(a)`, the position and those above it; `u` = `o` shifted down by a row.
 * Inner: `h = x + u`, `y = u + row(h)`, each row up to the query. Position (r, c) therefore depends on all of rows 0 … r − 1 and on
 * row r up to c: on everything before it, and on nothing after.
 *
 * The decode state holds queries, keys and values of two rows, the column keys and values of all rows, and the inner ones of one row: O(√n)
 * work for each token. `map()` shows the three attentions side by side, the outer two one row further down, where their result is used.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(W + T/W)·C) time beside three times the projections: n√n with W near √n
 * @source Ho et al. 2019, §3.1, arXiv:1912.12180
 * @differs the paper has stacks of outer and inner layers, and shifts the inner input right as well, since its outputs predict the
 *   position itself; as a mixer it is one layer of each, and the output at a position may depend on its input
 */
export function axialAutoregressive(options: AxialLayerOptions): Mixer<AxialAutoregressiveParams> {
  const { columns } = options;
  const layer = axialLayer(options);
  return {
    name: "axial",
    sees: "earlier",
    init: (key): Concrete<AxialAutoregressiveParams> => {
      const [row, column, inner] = splitKey(key, 3);
      return { row: layer.init(row!), column: layer.init(column!), inner: layer.init(inner!) };
    },
    apply: (params, input, context) => {
      const { x, view } = expectPlain(input);
      const maps: (() => AxisMap)[] = [];
      const residual = (site: "row" | "column", causal: boolean) => (x: Tensor) => {
        const { y, map } = layer.attend(params[site], x, { view, along: { axis: site, causal }, context, site });
        maps.push(map);
        return add(x, y);
      };
      // A masked pixel still lies above others: they receive what it knows of its row and column, and nothing of its own input.
      const own = view.keyMask === undefined ? x : mul(x, expandDims(cast(view.keyMask, x.dtype), 2));
      const above = rowsAbove(own, columns, { row: residual("row", false), column: residual("column", true) });
      const along = { axis: "row", causal: true } as const;
      const inner = layer.attend(params.inner, add(x, above), { view, along, context, site: "inner" });
      const outer = () => maps.map((map) => shiftedDown(map(), columns));
      return { y: add(above, inner.y), map: () => evenly([...outer(), inner.map()]) };
    },
    recurrent: axialRecurrent(layer, options) as unknown as Recurrent<AxialAutoregressiveParams, never>,
  };
}

const refusals = { scores: "each row and column of the grid is a sequence of its own" };

const acrossRows = { axis: "row", causal: false } as const;
const acrossColumns = { axis: "column", causal: false } as const;

function expectPlain(input: MixerInput): MixerInput {
  oneSequence("axial", input);
  requireSupport("axial", input.view, refusals);
  return input;
}

/** Scales each map by one over their number. */
function evenly(maps: readonly AxisMap[]): AttentionMap {
  return joinAxisMaps(maps.map(({ weights, keys }) => ({ weights: mul(weights, 1 / maps.length), keys })));
}

/** Weights moved down by one row; the first row gets none. */
function shiftedDown({ weights, keys }: AxisMap, columns: number): AxisMap {
  return { weights: lowered(weights, columns), keys: lowered(keys, columns) };
}

/** {@link shiftDown} of [·, ·, T, ·]. */
function lowered(x: Tensor, columns: number): Tensor {
  const length = x.shape[2]!;
  const by = Math.min(columns, length);
  const moved = pad(x, [
    [0, 0],
    [0, 0],
    [by, 0],
    [0, 0],
  ]);
  return slice(moved, 2, 0, length);
}

export type AxialSettings = { readonly columns?: number; readonly arrangement?: "sequential" | "sum" };

export const axialEntry: MixerEntry<"axial", AxialSettings> = /* @__PURE__ */ mixerEntry({
  name: "axial",
  title: "Axial attention",
  year: 2019,
  paper: "Ho et al. 2019, Axial Attention in Multidimensional Transformers, arXiv:1912.12180",
  summary: "attention along the rows and the columns of a grid, each a sequence of its own",
  formula: "h = x + row(x), y = row(x) + column(h); causal: u = down(column≤(row(x))), y = u + row≤(x + u)",
  cost: "O(n·√n·d) time, O(n·(√n + d)) memory",
  exponent: 1.5,
  directions: ["bidirectional", "causal"],
  refuses: refusals,
  decodeState: "grows",
  options: () =>
    z.strictObject({
      columns: positionCount()
        .optional()
        .describe("positions in a row of the grid that the sequence fills. Default: the root of the length"),
      arrangement: z
        .enum(["sequential", "sum"])
        .optional()
        .describe(
          "rows then columns, with projections each, or both at once with the same (bidirectional only). Default: sequential",
        ),
    }),
  make: ({ columns, arrangement }, context): Mixer => {
    const options = { ...context, columns: columns ?? Math.max(1, Math.round(Math.sqrt(context.length))) };
    if (context.causal && arrangement !== undefined) {
      throw new RangeError(`axial: causal has an arrangement of its own, got ${arrangement}`);
    }
    if (context.causal) return axialAutoregressive(options);
    return arrangement === "sum" ? axialSum(options) : axialSequential(options);
  },
});
