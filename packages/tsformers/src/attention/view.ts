import {
  add,
  and,
  cast,
  constant,
  expandDims,
  gather,
  iota,
  max,
  reshape,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { QkTransform, View } from "./kinds.ts";
import { denseMask, full, type Pattern } from "./pattern.ts";

/** Added to logits of hidden pairs: beyond any real logit, and finite, so that fully masked rows give no NaN. */
export const hidden = -1e30;

export type ViewOptions = {
  readonly pattern: Pattern;
  /** Numbers of queries and keys. */
  readonly queries: number;
  readonly keys: number;
  /** How many positions came before the queries (int32 scalar), when keys are cached; 0 unless told. */
  readonly offset?: Tensor;
  /** 1 for real keys, 0 for padding, [B, S]. */
  readonly keyMask?: Tensor;
  /** Positions, when rows of the batch differ; 0, 1, 2, … unless told. */
  readonly positions?: { readonly query: Tensor; readonly key: Tensor };
  readonly scores?: (positions: { query: Tensor; key: Tensor }) => (logits: Tensor) => Tensor;
  readonly rotation?: QkTransform;
};

/** What one pass of a stack may see: the mask of a pattern and of padding, and the position schemes made ready. */
export function look(options: ViewOptions): View {
  const { pattern, queries, keys, offset, keyMask, rotation } = options;
  const order = offset === undefined ? iota(queries) : add(iota(queries), offset);
  const positions = options.positions ?? { query: order, key: iota(keys) };
  const patternMask =
    pattern === full ? undefined : reshape(maskRows(pattern, queries, keys, offset), [1, 1, queries, keys]);
  const padding = keyMask === undefined ? undefined : expandDims(expandDims(cast(keyMask, "bool"), 1), 1);
  const visible = patternMask === undefined ? padding : padding === undefined ? patternMask : and(patternMask, padding);
  return {
    ...(visible === undefined ? {} : { mask: where(visible, 0, hidden) }),
    // A pattern alone leaves no query blind; together with padding it may.
    ...(visible === undefined || padding === undefined
      ? {}
      : { seesAny: max(cast(visible, "float32"), { axes: -1, keepDims: true }) }),
    ...(options.scores === undefined ? {} : { score: options.scores(positions) }),
    ...(rotation === undefined ? {} : { rotate: rotation.prepare(positions) }),
  };
}

/**
 * {@link look} as PyTorch implementations do it: a query that sees nothing averages over all keys instead of getting 0.
 * Only losses at such positions tell the difference.
 */
export function lookEvenly(options: ViewOptions): View {
  const { seesAny: _, ...view } = look(options);
  return view;
}

/** Rows of the pattern's mask, bool [T, S]; with cached keys the rows from `offset` on. */
function maskRows(pattern: Pattern, queries: number, keys: number, offset: Tensor | undefined): Tensor {
  if (offset === undefined) return constant(denseMask(pattern, queries, keys));
  return gather(constant(denseMask(pattern, keys, keys)), add(iota(queries), offset));
}
