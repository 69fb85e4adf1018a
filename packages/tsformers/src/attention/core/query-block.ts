import {
  add,
  after,
  broadcastTo,
  cast,
  concat,
  constant,
  div,
  exp,
  expandDims,
  fromNumbers,
  gather,
  greater,
  log,
  matmul,
  max,
  mul,
  pad,
  reshape,
  slice,
  softmax,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";
import type { KeyValueCache, LogitsOf, Positions, Score, View } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { softCap } from "../../nn/soft-cap.ts";
import { present } from "../../schema/present.ts";
import type { Runs } from "../patterns/pattern.ts";
import type { Plan, QueryBlock } from "./plan.ts";
import { countRuns } from "./runs.ts";
import { softmaxPart, softmaxValues } from "./softmax-values.ts";

/** Added to the logits of hidden pairs: below any real logit, yet finite, so that fully masked rows give no NaN. */
export const hidden = -1e30;

/** One block of queries, and everything needed to compute it. */
export type BlockInput = {
  readonly view: View;
  readonly plan: Plan;
  /** One block for all heads, or one per head, all of the same queries and equally many keys. */
  readonly blocks: readonly QueryBlock[];
  /** The keys and values of the block's runs, concatenated: each [B, K, W, D]. */
  readonly entries: () => KeyValueCache;
  readonly scale: number;
  readonly cap?: number;
  readonly dropoutRate?: number;
  readonly context: Context;
  /** Indices of the heads. Absent: all heads. */
  readonly heads?: readonly number[];
  /** Whether other blocks hold other keys of the same queries, so that log-normalisers are needed to merge them. */
  readonly withSums: boolean;
  readonly recomputed: boolean;
};

/** The weights of a plan's blocks, and each query's log-normaliser. */
export type PlanMap = { readonly plan: Plan; readonly blocks: readonly { weights: Tensor; sums: Tensor }[] };

/** Result of one block. */
export type Mixed = {
  /** [B, H, T, D] */
  readonly mixed: Tensor;
  /** Log-normaliser of each query's weights, [B, H, T, 1]; present where other blocks hold other keys of the same queries. */
  readonly sums?: Tensor;
};

/** Attention of one block of queries [B, H, T, D] over its keys. */
export function attendBlock(q: Tensor, input: BlockInput): Mixed {
  const { key, value } = input.entries();
  const { logits, sighted, score } = blockLogits(q, key, input);
  const out = mixValues(logits, q, value, score, input);
  return sighted === undefined ? out : { ...out, mixed: mul(out.mixed, cast(sighted, q.dtype)) };
}

function mixValues(logits: Tensor, q: Tensor, values: Tensor, score: Score | undefined, input: BlockInput): Mixed {
  const { withSums, dropoutRate = 0, context } = input;
  const plain = score?.values === undefined && (dropoutRate === 0 || context.key === undefined);
  if (plain && q.dtype === "float32" && values.shape[1] === q.shape[1]) {
    return withSums ? softmaxPart(logits, values) : { mixed: softmaxValues(logits, values) };
  }
  const { weights, sums } = withSums ? normalised(logits) : { weights: softmax(logits), sums: undefined };
  const kept = dropout(cast(weights, q.dtype), dropoutRate, context, "attention");
  const product = groupedProduct(kept, values, {});
  const mixed = score?.values === undefined ? product : add(product, score.values(kept));
  return sums === undefined ? { mixed } : { mixed, sums };
}

/** The weights of {@link attendBlock}. */
export function blockMap(q: Tensor, input: BlockInput): PlanMap["blocks"][number] {
  const { logits, sighted } = blockLogits(q, input.entries().key, { ...input, recomputed: false });
  const { weights, sums } = normalised(logits);
  return { weights: sighted === undefined ? weights : mul(weights, sighted), sums };
}

/** The softmax is computed in float32 even where the model computes in float16. */
function blockLogits(q: Tensor, key: Tensor, input: BlockInput): { logits: Tensor; sighted?: Tensor; score?: Score } {
  const { view, blocks, scale, cap } = input;
  const factors = { scale, ...present({ cap }) };
  const raw = cappedProduct(q, key, factors);
  const score = view.prepared?.get(blocks[0]) ?? view.scores?.(blockPositions(q, input));
  const scored = score === undefined ? raw : score.logits(raw, { query: q, key, ...factors });
  const hiding = hidingOf(q, q.shape[1]!, input);
  if (hiding === undefined) return { logits: scored, ...present({ score }) };
  const sighted = cast(greater(max(hiding, { axes: -1, keepDims: true }), hidden / 2), "float32");
  return {
    logits: add(scored, hiding),
    ...((blocks.some(({ blind }) => blind) || view.keyMask !== undefined || view.visible !== undefined) && { sighted }),
    ...present({ score }),
  };
}

function normalised(logits: Tensor): { weights: Tensor; sums: Tensor } {
  const top = stopGradient(max(logits, { axes: -1, keepDims: true }));
  const raised = exp(sub(logits, top));
  const total = sum(raised, { axes: -1, keepDims: true });
  return { weights: div(raised, total), sums: add(log(total), top) };
}

type Hiding = Pick<BlockInput, "view" | "plan" | "blocks" | "recomputed">;

/**
 * Added to the logits of `heads` heads, broadcast to [B, H, T, W]: 0 where visible, −1e30 where hidden. Undefined where all is visible.
 *
 * @param queries what is recomputed hangs on them
 */
export function hidingOf(queries: Tensor, heads: number, input: Hiding): Tensor | undefined {
  const parts = input.blocks.map((block) => hidingOfHead(queries, heads, input, block));
  if (parts.length === 1) return parts[0];
  const shown = parts.filter((part) => part !== undefined);
  if (shown.length === 0) return undefined;
  const shape = [0, 1, 2, 3].map((axis) => Math.max(...shown.map((part) => part.shape[axis]!)));
  return concat(
    parts.map((part) => (part === undefined ? zeros(shape) : broadcastTo(part, shape))),
    1,
  );
}

/** The most pairs of a plan's masks that are kept, each once for all blocks that have it. */
const keptMaskCells = 2 ** 20;

function hidingOfHead(
  q: Tensor,
  heads: number,
  { view, plan, recomputed }: Hiding,
  { queries, partial, keys }: QueryBlock,
): Tensor | undefined {
  const width = countRuns(keys);
  let hiding: Tensor | undefined;
  if (partial !== undefined) {
    const [low, high] = partial.columns;
    const added = where(constant(partial.visible), 0, hidden);
    // Masks made from constants alone are computed for all blocks ahead of time and kept in memory.
    const own = recomputed && plan.maskCells > keptMaskCells ? after(added, q) : added;
    const whole =
      high - low === width
        ? own
        : pad(own, [
            [0, 0],
            [low, width - high],
          ]);
    hiding = reshape(whole, [1, 1, ...whole.shape]);
  }
  if (view.visible !== undefined) {
    const [from, to] = queries;
    const rows = view.visible.shape.at(-2) === 1 ? view.visible : slice(view.visible, -2, from, to);
    const unseen = where(byRowAndHead(takeRuns(rows, keys), heads), 0, hidden);
    hiding = hiding === undefined ? unseen : add(hiding, unseen);
  }
  if (view.keyMask === undefined) return hiding;
  const real = cast(takeRuns(inPlanOrder(view.keyMask, plan), keys), "bool");
  const padding = expandDims(expandDims(where(real, 0, hidden), 1), 1);
  return hiding === undefined ? padding : add(hiding, padding);
}

/** Positions of the queries and keys of a block. */
export function positionsOf({ positions }: View, plan: Plan, { queries: [from, to], keys }: QueryBlock): Positions {
  const query = slice(inPlanOrder(positions.query, plan), -1, from, to);
  const key = takeRuns(inPlanOrder(positions.key, plan), keys);
  if (positions.lines === undefined || plan.order !== undefined) return { query, key };
  const first = positions.lines.keys[0]!.from;
  const runs = Array.from({ length: keys.length / 2 }, (_, i) => {
    return { from: first + keys[2 * i]!, length: keys[2 * i + 1]! - keys[2 * i]! };
  });
  return { query, key, lines: { query: positions.lines.query + from, keys: runs } };
}

function blockPositions(q: Tensor, { view, plan, blocks, heads, recomputed }: BlockInput): Positions {
  const positions = positionsOf(view, plan, blocks[0]!);
  const query = recomputed ? after(positions.query, q) : positions.query;
  return { ...positions, query, ...present({ heads }) };
}

/** Rearranges the last axis into the plan's order. */
export function inPlanOrder(x: Tensor, { order }: Plan): Tensor {
  if (order === undefined) return x;
  return gather(x, constant(fromNumbers(order, [order.length], "int32")), -1);
}

/** Concatenates runs of the last axis. */
function takeRuns(x: Tensor, runs: Runs): Tensor {
  const parts: Tensor[] = [];
  for (let i = 0; i < runs.length; i += 2) parts.push(slice(x, -1, runs[i]!, runs[i + 1]!));
  return parts.length === 1 ? parts[0]! : concat(parts, -1);
}

/** Masks of patterns by head, bool [H', T, S] → [1 or H, T, S]: head h gets that of pattern `h mod H'`. */
export function byHead(mask: Tensor, heads: number): Tensor {
  const patterns = mask.shape[0]!;
  if (patterns === 1 || patterns === heads) return mask;
  const own = Array.from({ length: heads }, (_, head) => head % patterns);
  return gather(mask, constant(fromNumbers(own, [heads], "int32")), 0);
}

/** {@link byHead} with a batch axis: a view's `visible` → [1 or B, 1 or H, T, S]. */
export function byRowAndHead(visible: Tensor, heads: number): Tensor {
  return visible.shape.length === 4 ? visible : expandDims(byHead(visible, heads), 0);
}

/** `scale·q·kᵀ` in float32, capped where there is a cap. */
export function cappedProduct(q: Tensor, key: Tensor, { scale, cap }: Pick<LogitsOf, "scale" | "cap">): Tensor {
  const product = cast(groupedProduct(q, key, { transposeB: true, scale }), "float32");
  return cap === undefined ? product : softCap(product, cap);
}

/** Matrix product of [B, H, ·, ·] with [B, K, ·, ·], where each of the K key heads serves H/K consecutive heads. */
export function groupedProduct(a: Tensor, b: Tensor, options: { transposeB?: boolean; scale?: number }): Tensor {
  const [batch, heads, ...rows] = a.shape as [number, number, number, number];
  const shared = b.shape[1]!;
  if (heads === shared) return matmul(a, b, options);
  const grouped = matmul(reshape(a, [batch, shared, heads / shared, ...rows]), expandDims(b, 2), options);
  return reshape(grouped, [batch, heads, ...grouped.shape.slice(-2)]);
}
