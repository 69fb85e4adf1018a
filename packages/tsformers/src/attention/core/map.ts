import {
  add,
  broadcastTo,
  concat,
  constant,
  fromNumbers,
  gather,
  logSumExp,
  mul,
  pad,
  slice,
  softmax,
  type Tensor,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { Runs } from "../patterns/pattern.ts";
import type { Plan, QueryBlock } from "./plan.ts";
import type { PlanMap } from "./query-block.ts";
import { inverseOf, rearrange } from "./rearrange.ts";
import { countRuns } from "./runs.ts";

/** An attention map, and the log-normalisers of its rows, [B, H, T, 1]. */
export type JoinedMap = AttentionMap & { readonly sums: Tensor };

/**
 * Joins the weights of query blocks into one attention map: over all keys where the blocks compute a good part of them, otherwise
 * over the sets of keys that they compute.
 *
 * @param groups the plans of each group of heads
 */
export function joinMaps(groups: readonly (readonly PlanMap[])[], keys: number): JoinedMap {
  const width = Math.max(...groups.map((plans) => plans.reduce((sum, { plan }) => sum + widthOf(plan), 0)));
  const dense = 2 * width >= keys;
  const parts = groups.map((plans) =>
    joinPlans(plans.map((plan) => (dense ? denseRows(plan, keys) : sparseRows(plan)))),
  );
  const weights = parts.map((part) => (dense ? part.weights : widen(part.weights, width)));
  const sums = concat(
    parts.map((part) => part.sums),
    1,
  );
  if (dense) return { weights: concat(weights, 1), sums };
  const indices = parts.map((part, i) => {
    const wide = widen(part.keys!, width);
    return broadcastTo(wide, [1, ...weights[i]!.shape.slice(1)]);
  });
  return { weights: concat(weights, 1), keys: concat(indices, 1), sums };
}

/** Weights of all queries in sequence order [B, H, T, W], with their log-normalisers [B, H, T, 1]. */
type Rows = { readonly weights: Tensor; readonly keys?: Tensor; readonly sums: Tensor };

function joinPlans(plans: readonly Rows[]): Rows {
  if (plans.length === 1) return plans[0]!;
  const parts = concat(
    plans.map(({ sums }) => sums),
    -1,
  );
  const shares = softmax(parts);
  const sums = logSumExp(parts, { axes: -1, keepDims: true });
  const weights = plans.map(({ weights }, i) => mul(weights, slice(shares, -1, i, i + 1)));
  const keys = plans.flatMap(({ keys }) => keys ?? []);
  // Parts cover different keys: laid out over all keys, their weights can be added.
  if (keys.length === 0) return { weights: weights.reduce((a, b) => add(a, b)), sums };
  return { weights: concat(weights, -1), keys: concat(keys, -1), sums };
}

/** Consecutive queries and the positions of the keys that they weighed, in the plan's order. */
type Row = {
  readonly queries: number;
  readonly weights: Tensor;
  readonly keys: readonly number[];
  readonly sums: Tensor;
};

/** Joins blocks of the same queries into one row. */
function rowsOf({ plan, blocks }: PlanMap): Row[] {
  const starts = [...new Set(plan.blocks.map(({ queries: [from] }) => from))];
  return starts.map((start) => {
    const own = plan.blocks.flatMap((block, i) => (block.queries[0] === start ? [{ block, ...blocks[i]! }] : []));
    const { block } = own[0]!;
    const sums = concat(
      own.map((part) => part.sums),
      -1,
    );
    const shares = softmax(sums);
    return {
      queries: block.queries[1] - start,
      keys: own.flatMap((part) => keysOf(part.block, plan)),
      weights: concat(
        own.map(({ weights }, i) => mul(weights, slice(shares, -1, i, i + 1))),
        -1,
      ),
      sums: logSumExp(sums, { axes: -1, keepDims: true }),
    };
  });
}

function sparseRows(map: PlanMap): Rows {
  const width = widthOf(map.plan);
  const rows = rowsOf(map);
  const keys = rows.flatMap(({ queries, keys }) => {
    const row = [...keys, ...new Array<number>(width - keys.length).fill(0)];
    return Array.from({ length: queries }, () => row).flat();
  });
  const indices = constant(fromNumbers(keys, [1, 1, keys.length / width, width], "int32"));
  return {
    weights: inOwnOrder(
      concat(
        rows.map(({ weights }) => widen(weights, width)),
        2,
      ),
      map.plan,
    ),
    keys: inOwnOrder(indices, map.plan),
    sums: inOwnOrder(
      concat(
        rows.map(({ sums }) => sums),
        2,
      ),
      map.plan,
    ),
  };
}

function denseRows(map: PlanMap, keys: number): Rows {
  const rows = rowsOf(map);
  const weights = rows.map(({ weights, keys: own }) => {
    if (own.length === keys && map.plan.order === undefined) return weights;
    // Keys that the block does not compute point to a column of zeros at the end.
    const column = new Int32Array(keys).fill(own.length);
    own.forEach((key, at) => {
      column[key] = at;
    });
    return gather(widen(weights, own.length + 1), constant(fromNumbers(column, [keys], "int32")), -1);
  });
  return {
    weights: inOwnOrder(concat(weights, 2), map.plan),
    sums: inOwnOrder(
      concat(
        rows.map(({ sums }) => sums),
        2,
      ),
      map.plan,
    ),
  };
}

function inOwnOrder(x: Tensor, { order }: Plan): Tensor {
  return order === undefined ? x : rearrange(x, inverseOf(order), 2);
}

/** The positions of a block's keys. */
function keysOf({ keys }: QueryBlock, { order }: Plan): number[] {
  return runPositions(keys).map((at) => order?.[at] ?? at);
}

function runPositions(runs: Runs): number[] {
  const positions: number[] = [];
  for (let i = 0; i < runs.length; i += 2) for (let at = runs[i]!; at < runs[i + 1]!; at++) positions.push(at);
  return positions;
}

/** The largest number of keys computed for any query. */
function widthOf({ blocks }: Plan): number {
  const widths = new Map<number, number>();
  for (const { queries, keys } of blocks) widths.set(queries[0], (widths.get(queries[0]) ?? 0) + countRuns(keys));
  return Math.max(...widths.values());
}

/** Pads the last axis with zeros up to `width`. */
function widen(x: Tensor, width: number): Tensor {
  const missing = width - x.shape.at(-1)!;
  return missing === 0 ? x : pad(x, [...x.shape.slice(1).map((): [number, number] => [0, 0]), [0, missing]]);
}
