import {
  add,
  after,
  broadcastTo,
  cast,
  concat,
  mul,
  reshape,
  split,
  type Tensor,
  transpose,
  zeros,
} from "@tsformers/engine";
import type { Positions, Score } from "../../kinds/index.ts";
import { type Attended, type AttendOptions, attend } from "../core/executor.ts";
import { plansOf } from "../core/plan.ts";
import { makeView, type ViewOptions } from "../core/view.ts";
import type { SourceLogits } from "./synthetic-logits.ts";

export type SyntheticOptions = Omit<AttendOptions, "view" | "scale"> & {
  readonly view: Omit<ViewOptions, "scores" | "rotation">;
  /** Factor of each source's logits, broadcast to [B, H, T, S]. Default: 1. */
  readonly factors?: readonly Tensor[] | undefined;
};

/**
 * `softmax(Σ_i factor_i·logits_i)·v` over the visible pairs of the view.
 *
 * Sources of the form rows times columns become one matrix product, their rows and columns concatenated; the others are
 * computed for one block of queries at a time. Logits that do not depend on the input are computed once for the whole
 * batch.
 *
 * @shape  values [B, H, S, D] → [B, H, T, D]
 * @cost   O(B·H·T·S·(D + E)) time; memory: {@link attend}, plus that of the rows
 */
export function attendSynthetic(sources: readonly SourceLogits[], values: Tensor, options: SyntheticOptions): Attended {
  const { view: given, factors, dropoutRate = 0, context } = options;
  const [batch, heads, keys, width] = values.shape as [number, number, number, number];
  const weighed = sources.map((source, i) => ({ source, factor: factors?.[i] }));
  const products = weighed.flatMap(({ source, factor }) =>
    "columns" in source ? [{ rows: scaled(source.rows, factor), columns: source.columns }] : [],
  );
  const others = weighed.flatMap(({ source, factor }) => ("logits" in source ? [{ source, factor }] : []));
  const sides = sources.flatMap((source) => ("columns" in source ? [source.rows, source.columns] : [source.rows]));
  const alike = sides.every(({ shape }) => shape[0] === 1) && given.keyMask === undefined;
  const folded = batch > 1 && alike && (dropoutRate === 0 || context.key === undefined);
  const own = folded ? 1 : batch;

  const blocks = others.length === 0 ? {} : { queriesPerBlock: queriesFor(keys) };
  const seen = { ...blocks, ...given };
  const pieces = others.map(({ source }) => byBlock(source.rows, seen));
  const logitsOf = (product: Tensor, query: Tensor, positions: Positions): Tensor => {
    const runs = positions.lines?.keys ?? [{ from: 0, length: keys }];
    const parts = others.map(({ source, factor }, i) => {
      const rows = pieces[i]!(positions.lines?.query ?? 0);
      // Large intermediate results must wait for their block's turn. A table exists in memory anyway, and is added to a product
      // that waits.
      const table = rows.shape.at(-1)! >= keys && products.length > 0;
      const waiting = table ? rows : after(rows, query);
      const byRun = runs.map(({ from, length }) => source.logits(waiting, from, from + length));
      return cast(scaled(joined(byRun), factor), product.dtype);
    });
    const all = products.length === 0 ? parts : [product, ...parts];
    return spread(
      all.reduce((a, b) => add(a, b)),
      own,
    );
  };
  const scores = (positions: Positions): Score => ({
    logits: (product, { query }) => logitsOf(product, query, positions),
  });

  const side = (parts: readonly Tensor[], length: number) =>
    parts.length === 0 ? zeros([own, heads, length, 1], values.dtype) : joined(parts.map((part) => spread(part, own)));
  const query = side(
    products.map(({ rows }) => rows),
    given.queries,
  );
  const key = side(
    products.map(({ columns }) => columns),
    keys,
  );
  const { mixed, map } = attend(
    query,
    { key, value: folded ? foldBatch(values) : values },
    { view: makeView(others.length === 0 ? seen : { ...seen, scores }), scale: 1, dropoutRate, context },
  );
  if (!folded) return { mixed, map };
  return {
    mixed: transpose(reshape(mixed, [heads, given.queries, batch, width]), [2, 0, 1, 3]),
    map: () => ({ ...map(), weights: spread(map().weights, batch) }),
  };
}

/** Block size of queries for blocks that hold all keys: rows of tables are then cut once. */
function queriesFor(keys: number): number {
  return Math.max(64, Math.min(512, 64 * Math.floor(2 ** 14 / keys)));
}

/** Cuts the rows into the blocks of queries, once; if everything is one pass, returns all rows. */
function byBlock(rows: Tensor, view: SyntheticOptions["view"]): (from: number) => Tensor {
  if (view.offset !== undefined) return () => rows;
  const plans = plansOf(view.pattern, view);
  const starts = [...new Set(plans.flatMap(({ blocks }) => blocks.map(({ queries }) => queries[0])))];
  const parts = split(
    rows,
    starts.map((from, i) => (starts[i + 1] ?? view.queries) - from),
    2,
  );
  const at = new Map(starts.map((from, i) => [from, parts[i]!]));
  return (from) => at.get(from)!;
}

/** values [B, H, S, D] → [1, H, S, B·D]: weights that are equal for the whole batch then need one product. */
function foldBatch(values: Tensor): Tensor {
  const [batch, heads, keys, width] = values.shape as [number, number, number, number];
  return reshape(transpose(values, [1, 2, 0, 3]), [1, heads, keys, batch * width]);
}

function joined(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? parts[0]! : concat(parts, -1);
}

function scaled(x: Tensor, factor: Tensor | undefined): Tensor {
  return factor === undefined ? x : mul(x, cast(factor, x.dtype));
}

/** [1 or B, …] → [B, …] */
function spread(x: Tensor, batch: number): Tensor {
  return x.shape[0] === batch ? x : broadcastTo(x, [batch, ...x.shape.slice(1)]);
}
