import {
  add,
  broadcastTo,
  cast,
  concat,
  constant,
  cumsum,
  equal,
  expandDims,
  fromNumbers,
  gather,
  greaterEqual,
  iota,
  less,
  lessEqual,
  matmul,
  maximum,
  minimum,
  mul,
  ones,
  reshape,
  slice,
  sub,
  type Tensor,
  takeAlongAxis,
  topK,
  where,
} from "@tsformers/engine";
import type { AttentionMap, KeyValueCache, View } from "../../kinds/index.ts";
import { present } from "../../schema/present.ts";
import { runsOf } from "../core/runs.ts";
import { makeView, type ViewOptions } from "../core/view.ts";
import { fullPattern, type Pattern, type Runs } from "../patterns/pattern.ts";

/** The global tokens of a pass: how the others reach them under the softmax of their window, and where what they mixed goes. */
export type GlobalTokens = {
  /** How many a row has at most. */
  readonly count: number;
  /** What the others see of {@link near}: their window and the global tokens. */
  readonly nearView: View;
  /** Keys and values [B, K, T, D] as `nearView` has them. */
  near(entries: KeyValueCache): KeyValueCache;
  /** What the global tokens see. */
  readonly wideView: View;
  /** [..., T, C] → [..., G, C] */
  pick(x: Tensor): Tensor;
  /** x [B, H, T, D] with rows [B, H, G, D] in place of those of global tokens. */
  put(x: Tensor, rows: Tensor): Tensor;
  /** Of the weights of both. */
  map(near: AttentionMap, wide: AttentionMap): AttentionMap;
};

/**
 * The same positions in every row: known while tracing, so that the window's pattern shows them where they stand.
 *
 * @param positions ascending
 * @param patterns.near what a query sees that is not global
 * @param patterns.wide what the global tokens see, in their order
 */
export function fixedGlobals(
  view: View,
  positions: readonly number[],
  patterns: { readonly near: Pattern; readonly wide: Pattern },
): GlobalTokens {
  const at = constant(fromNumbers(positions, [positions.length], "int32"));
  const places = { query: gather(view.positions.query, at, -1), key: view.positions.key };
  return {
    count: positions.length,
    nearView: lookAgain(view, { pattern: patterns.near }),
    near: (entries) => entries,
    wideView: lookAgain(view, { pattern: patterns.wide, queries: positions.length, positions: places }),
    pick: (x) => pickRows(x, positions),
    put: (x, rows) => putRows(x, rows, positions),
    map: (near, wide) => ({ ...near, apart: { queries: positions, weights: wide.weights } }),
  };
}

/**
 * Those of the view, which differ from row to row: the first `room` of each row stand in slots in front of all keys, and are hidden where they
 * stand themselves. Padding is never global.
 *
 * @param near what a query sees behind `room` slots
 */
export function givenGlobals(view: View, globals: Tensor, room: number, near: (room: number) => Pattern): GlobalTokens {
  const [batch, length] = globals.shape as [number, number];
  const count = Math.min(room, length);
  const real = view.keyMask === undefined ? ones([batch, length]) : oneOrZero(view.keyMask);
  const chosen = mul(oneOrZero(globals), real);
  const isGlobal = mul(chosen, cast(lessEqual(cumsum(chosen, 1), count), "float32"));
  // Equal elements keep their order: slots hold global tokens as they come, then anything.
  const { values: held, indices } = topK(isGlobal, count, 1);
  const hot = mul(cast(equal(expandDims(indices, 2), iota(length)), "float32"), expandDims(held, 2));
  const keyMask = concat([held, sub(real, isGlobal)], 1);
  const byHead = (dtype: Tensor["dtype"]): Tensor => cast(expandDims(hot, 1), dtype);
  const pick = (x: Tensor): Tensor => matmul(x.shape.length === 3 ? cast(hot, x.dtype) : byHead(x.dtype), x);
  const positions = () => {
    const rows = (of: Tensor): Tensor => broadcastTo(of, [batch, length]);
    const [query, key] = [rows(view.positions.query), rows(view.positions.key)];
    const slots = (of: Tensor): Tensor => takeAlongAxis(of, indices, 1);
    return {
      near: { query, key: concat([slots(key), key], 1) },
      wide: { query: slots(query), key },
    };
  };
  const placed = view.scores === undefined ? undefined : positions();
  return {
    count,
    nearView: lookAgain(view, {
      pattern: near(count),
      keys: count + length,
      keyMask,
      ...(placed !== undefined && { positions: placed.near }),
    }),
    near: ({ key, value }) => ({ key: concat([pick(key), key], 2), value: concat([pick(value), value], 2) }),
    wideView: lookAgain(view, {
      pattern: fullPattern,
      queries: count,
      ...(placed !== undefined && { positions: placed.wide }),
    }),
    pick,
    put: (x, rows) => {
      const others = mul(x, cast(reshape(sub(1, isGlobal), [batch, 1, length, 1]), x.dtype));
      return add(others, matmul(byHead(x.dtype), rows, { transposeA: true }));
    },
    map: (near, wide) => ({
      ...mapOfPositions(near, hot, indices),
      apart: { queries: where(greaterEqual(held, 1), indices, -1), weights: wide.weights },
    }),
  };
}

function oneOrZero(mask: Tensor): Tensor {
  return cast(cast(mask, "bool"), "float32");
}

/** A map over slots [B, G] and the positions behind them as one over positions. */
function mapOfPositions({ weights, keys }: AttentionMap, hot: Tensor, indices: Tensor): AttentionMap {
  const [batch, count] = indices.shape as [number, number];
  if (keys === undefined) {
    const ofSlots = matmul(slice(weights, -1, 0, count), expandDims(hot, 1));
    return { weights: add(slice(weights, -1, count), ofSlots) };
  }
  const inSlots = gather(indices, minimum(keys, count - 1), 1);
  const ofSlots = reshape(inSlots, [batch, ...keys.shape.slice(1)]);
  return { weights, keys: where(less(keys, count), ofSlots, maximum(sub(keys, count), 0)) };
}

/** The same padding and scores as in another view, but for what is told. */
export function lookAgain(view: View, own: Pick<ViewOptions, "pattern"> & Partial<ViewOptions>): View {
  const { keyMask, scores, queries, keys } = view;
  return makeView({
    queries,
    keys,
    ...present({ keyMask, scores }),
    ...own,
  });
}

/** Rows at positions along the axis before the last. */
function pickRows(x: Tensor, positions: readonly number[]): Tensor {
  return concat(
    runPairs(runsOf(positions)).map(([from, to]) => slice(x, -2, from, to)),
    -2,
  );
}

/** [B, H, T, D] with `rows` [B, H, G, D] at ascending positions. */
function putRows(x: Tensor, rows: Tensor, positions: readonly number[]): Tensor {
  const parts: Tensor[] = [];
  let [at, taken] = [0, 0];
  for (const [from, to] of runPairs(runsOf(positions))) {
    if (from > at) parts.push(slice(x, 2, at, from));
    parts.push(slice(rows, 2, taken, taken + to - from));
    taken += to - from;
    at = to;
  }
  if (at < x.shape[2]!) parts.push(slice(x, 2, at));
  return concat(parts, 2);
}

function runPairs(runs: Runs): [from: number, to: number][] {
  return Array.from({ length: runs.length / 2 }, (_, i) => [runs[2 * i]!, runs[2 * i + 1]!]);
}
