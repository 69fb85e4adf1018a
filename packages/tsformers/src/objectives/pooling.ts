import {
  and,
  type Concrete,
  cast,
  cumsum,
  div,
  equal,
  expandDims,
  greater,
  maximum,
  mul,
  type RandomKey,
  reshape,
  slice,
  splitKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import type { Context, DepthOutput, Layer } from "../kinds/index.ts";
import type { Pool, TokenBody, TokensInput } from "../models/language-model.ts";
import { within } from "../nn/dropout.ts";

/** How the vectors of a row become one: x [B, T, C] and which positions are real, float32 [B, T] → [B, C]. */
export type Pooling = (x: Tensor, mask: Tensor | undefined) => Tensor;

/** The vector of the first position: where BERT and Longformer read the class. */
export const firstPosition: Pooling = (x) => reshape(slice(x, 1, 0, 1), [x.shape[0]!, x.shape[2]!]);

/** The mean over positions that are no padding. */
export const meanOfPositions: Pooling = (x, mask) => {
  if (mask === undefined) return div(sum(x, { axes: 1 }), x.shape[1]!);
  const real = cast(mask, x.dtype);
  return div(sum(mul(x, expandDims(real, -1)), { axes: 1 }), maximum(sum(real, { axes: 1, keepDims: true }), 1));
};

/** The vector of the last position that is no padding: what a causal model knows of the whole row. */
export const lastPosition: Pooling = (x, mask) => {
  const [batch, length, width] = x.shape as [number, number, number];
  if (mask === undefined) return reshape(slice(x, 1, length - 1), [batch, width]);
  const real = cast(mask, "float32");
  const behind = cumsum(real, 1, { exclusive: true, reverse: true });
  const isLast = cast(and(greater(real, 0), equal(behind, 0)), x.dtype);
  return sum(mul(x, expandDims(isLast, -1)), { axes: 1 });
};

/** How a body's vectors are pooled. */
export type PoolChoice = {
  readonly layer: ReturnType<Pool>;
  /** Whether it is the body's own, with parameters. */
  readonly learned: boolean;
};

/**
 * The pooling that is given; else the body's own; else the mean where it sees both sides, the last position where it is causal.
 *
 * @param vectors how many the body's own makes of a row; the others make one
 */
export function poolOf(
  { causal, pool }: Pick<TokenBody, "causal" | "pool">,
  vectors: number,
  given?: Pooling,
): PoolChoice {
  if (pool !== undefined && given === undefined) return { layer: pool(vectors), learned: true };
  const one = given ?? (causal ? lastPosition : meanOfPositions);
  return { layer: { init: () => ({}), apply: (_, x, mask) => expandDims(one(x, mask), 1) }, learned: false };
}

/**
 * A head that reads what a row was pooled to, [B, k, C]. Parameters of a learned pooling stand under `pool` beside the head's.
 */
export function pooledHead(
  { layer, learned }: PoolChoice,
  head: Layer<unknown, [vectors: Tensor, context: Context]>,
): {
  init(key: RandomKey): Concrete<unknown>;
  logits(params: unknown, out: DepthOutput, input: TokensInput, context: Context): Tensor;
} {
  return {
    init: (key) => {
      if (!learned) return head.init(key);
      const [a, b] = splitKey(key, 2);
      return { ...(head.init(a!) as object), pool: layer.init(b!) } as Concrete<unknown>;
    },
    logits: (params, { x }, { mask }, context) => {
      const { pool } = params as { pool?: unknown };
      return head.apply(params, layer.apply(pool, x, mask, within(context, "pooling")), context);
    },
  };
}
