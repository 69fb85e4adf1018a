import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { runsOf } from "../core/runs.ts";
import { type Order, sharedOrder } from "./order.ts";
import type { Pattern, Runs } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";
import { rootOf } from "./usual-sizes.ts";

type Extent = readonly [rows: number, columns: number];

export type Local2dOptions = {
  /** Pixels in a row of the image. */
  readonly columns: number;
  readonly queryBlock: Extent;
  /** How far the keys extend beyond the block of queries: up, and to the left and right. */
  readonly flange: Extent;
  /** Whether pixels see only what was generated before them. */
  readonly causal: boolean;
};

/**
 * Two-dimensional local attention over an image in raster order: the query's own block of pixels and a flange around it.
 *
 * Pixels are generated block by block (blocks row by row, pixels inside row by row). Causal queries see their block up to
 * themselves, the strip above it (flange rows, the block's columns and the flange's on both sides), and the strip left of it
 * over all rows of the block, including lower rows, since the block to the left was generated earlier. In raster order this looks
 * ahead; a decoder takes the image in the order of generation, {@link local2dGenerated}. Not causal: the whole block and its flange.
 *
 * @cost   O(n·(h + m_h)·(w + 2·m_w)) pairs
 * @source Parmar et al. 2018, "Image Transformer", §3.3, arXiv:1802.05751
 * @differs pixels outside the image are left out; the authors' code pads them and masks the padding
 */
export function local2d(options: Local2dOptions): Pattern {
  const { columns, queryBlock, flange, causal } = options;
  const [[height, width], [up, aside]] = [queryBlock, flange];
  for (const value of [columns, height, width]) expectWhole("local-2d", "columns and queryBlock", value, 1);
  for (const value of flange) expectWhole("local-2d", "flange", value);
  return {
    name: `2-D local (blocks of ${height} × ${width}, ${up} above, ${aside} aside${causal ? "" : ", both ways"})`,
    keys: (query, length) => {
      const [row, column] = [Math.floor(query / columns), query % columns];
      const [top, left] = [row - (row % height), column - (column % width)];
      const low = Math.max(0, left - aside);
      const right = Math.min(columns, left + width);
      const far = Math.min(columns, left + width + aside);
      const lastRow = Math.min(top + height - 1 + (causal ? 0 : up), Math.ceil(length / columns) - 1);
      const runs: number[] = [];
      for (let at = Math.max(0, top - up); at <= lastRow; at++) {
        const high = !causal || at < top ? far : at < row ? right : at === row ? column + 1 : left;
        addSpan(runs, at * columns + low, Math.min(length, at * columns + high));
      }
      return runs;
    },
    order: blockRaster({ columns, queryBlock }),
  };
}

/** Order of generation: block by block, blocks row by row, and pixels row by row inside. */
export function blockRaster({ columns, queryBlock }: Pick<Local2dOptions, "columns" | "queryBlock">): Order {
  const [height, width] = queryBlock;
  return sharedOrder(`blocks ${columns} ${height} ${width}`, (length) => {
    const order = new Int32Array(length);
    let at = 0;
    for (let top = 0; top * columns < length; top += height) {
      for (let left = 0; left < columns; left += width) {
        for (let row = top; row < top + height; row++) {
          const last = Math.min(length, row * columns + Math.min(columns, left + width));
          for (let pixel = row * columns + left; pixel < last; pixel++) order[at++] = pixel;
        }
      }
    }
    return order;
  });
}

/**
 * {@link local2d} over pixels in the order of their generation: position i is pixel `blockRaster(…)[i]`. Causal in that
 * order.
 *
 * @param options.rows rows of the image, which decide where the last blocks end
 */
export function local2dGenerated({ rows, ...options }: Local2dOptions & { readonly rows: number }): Pattern {
  expectWhole("local-2d", "rows", rows, 1);
  const raster = local2d(options);
  const size = rows * options.columns;
  const order = blockRaster(options)(size);
  const place = new Int32Array(size);
  order.forEach((pixel, at) => {
    place[pixel] = at;
  });
  const known: (Runs | undefined)[] = [];
  const seenBy = (query: number): Runs => {
    const places: number[] = [];
    const pixels = raster.keys(order[query]!, size);
    for (let i = 0; i < pixels.length; i += 2) {
      for (let pixel = pixels[i]!; pixel < pixels[i + 1]!; pixel++) places.push(place[pixel]!);
    }
    return runsOf(places);
  };
  return {
    name: `${raster.name}, as generated`,
    keys: (query, length) => {
      if (query >= size) return [];
      known[query] ??= seenBy(query);
      return below(known[query], length);
    },
  };
}

function below(runs: Runs, length: number): Runs {
  if (runs.length === 0 || runs.at(-1)! <= length) return runs;
  const kept: number[] = [];
  for (let i = 0; i < runs.length; i += 2) addSpan(kept, runs[i]!, Math.min(length, runs[i + 1]!));
  return kept;
}

export type Local2dSettings = {
  readonly columns?: number;
  readonly queryBlock?: readonly number[];
  readonly flange?: readonly number[];
  readonly sequence?: "generated" | "raster";
};

export const local2dEntry: PatternEntry<"local-2d", Local2dSettings> = /* @__PURE__ */ patternEntry({
  name: "local-2d",
  title: "2-D local attention",
  year: 2018,
  paper: "Parmar et al. 2018, Image Transformer, arXiv:1802.05751",
  summary: "the query's own block of pixels, and a flange around it",
  formula: "S_i = block(i) up to i ∪ strip above ∪ strip to the left",
  cost: "n·(h + m_h)·(w + 2·m_w) pairs",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  options: () =>
    z.strictObject({
      columns: positionCount().optional().describe("pixels in a row of the image. Default: the root of the length"),
      queryBlock: z
        .array(positionCount())
        .length(2)
        .optional()
        .describe("rows and columns of a block. Default: an eighth of the image's, at least 2"),
      flange: z
        .array(positionCount(0))
        .length(2)
        .optional()
        .describe("rows above and columns aside that are visible. Default: as the block"),
      sequence: z
        .enum(["generated", "raster"])
        .optional()
        .describe(
          "the order of positions: block by block as pixels are generated, or row by row. Default: generated when causal, otherwise raster",
        ),
    }),
  make: (settings, { length, causal }) => {
    const columns = settings.columns ?? rootOf(length);
    const rows = Math.ceil(length / columns);
    const [height, width] = settings.queryBlock ?? [blockExtent(rows), blockExtent(columns)];
    const [up, aside] = settings.flange ?? [height!, width!];
    const sizes = { columns, queryBlock: [height!, width!], flange: [up!, aside!], causal } as const;
    if ((settings.sequence ?? (causal ? "generated" : "raster")) === "generated") {
      return always(local2dGenerated({ ...sizes, rows }));
    }
    if (causal) {
      throw new RangeError('local-2d: looks ahead in the order of the raster; causal needs sequence "generated"');
    }
    return always(local2d(sizes));
  },
});

function blockExtent(extent: number): number {
  return Math.max(2, Math.round(extent / 8));
}
