import {
  add,
  and,
  cast,
  constant,
  equal,
  expandDims,
  gather,
  iota,
  max,
  reshape,
  slice,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { QkTransform, View } from "./kinds.ts";
import { denseMask, type Pattern, seesAll, visibleSpans } from "./pattern.ts";

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
  /**
   * Queries are taken this many at a time (256 unless told), each block with the span of keys that it sees: under a causal
   * pattern almost half of the products fall away. Smaller blocks lose more by cutting and joining than they save.
   */
  readonly queriesPerBlock?: number;
};

/** What one pass of a stack may see: the mask of a pattern and of padding, and the position schemes made ready. */
export function look(options: ViewOptions): View {
  const { pattern, queries, keys, offset, keyMask, rotation, queriesPerBlock = 256 } = options;
  const order = offset === undefined ? iota(queries) : add(iota(queries), offset);
  const positions = options.positions ?? { query: order, key: iota(keys) };
  const mask = offset === undefined ? denseMask(pattern, queries, keys) : undefined;
  const spans = mask === undefined ? [] : visibleSpans(mask, queriesPerBlock);
  const whole = spans.length < 2 || spans.every(({ keys: [low, high] }) => high - low === keys);
  const visible =
    mask === undefined
      ? gather(constant(denseMask(pattern, keys, keys)), order)
      : seesAll(mask)
        ? undefined
        : constant(mask);
  const padding = keyMask === undefined ? undefined : expandDims(expandDims(cast(keyMask, "bool"), 1), 1);
  // Cached keys were turned when they were new: those of this pass stand where its queries do.
  const turned = offset === undefined ? positions : { query: positions.query, key: positions.query };
  const rotate = rotation === undefined ? {} : { rotate: rotation.prepare(turned) };
  if (whole) return { ...spanView(options, positions, visible, padding), ...rotate };
  const blocks = spans.map(({ queries: [from, to], keys: [low, high] }) => {
    const at = { query: slice(positions.query, -1, from, to), key: slice(positions.key, -1, low, high) };
    const cut = visible && slice(slice(visible, 0, from, to), 1, low, high);
    return {
      queries: [from, to],
      keys: [low, high],
      view: spanView(options, at, cut, padding && slice(padding, 3, low, high)),
    } as const;
  });
  return { blocks, ...rotate };
}

/** Masks and scores of some queries and some keys. */
function spanView(
  { scores }: ViewOptions,
  positions: { query: Tensor; key: Tensor },
  pattern: Tensor | undefined,
  padding: Tensor | undefined,
): View {
  const rows = pattern && reshape(pattern, [1, 1, ...pattern.shape]);
  const visible = rows === undefined ? padding : padding === undefined ? rows : and(rows, padding);
  return {
    ...(visible === undefined ? {} : { mask: where(visible, 0, hidden) }),
    // A pattern alone leaves no query blind; together with padding it may.
    ...(visible === undefined || padding === undefined
      ? {}
      : { seesAny: max(cast(visible, "float32"), { axes: -1, keepDims: true }) }),
    ...(scores === undefined ? {} : { score: scores(positions) }),
  };
}

/**
 * {@link look} as PyTorch implementations do it: a query that sees nothing averages over all keys instead of getting 0.
 * Only losses at such positions tell the difference.
 */
export function lookEvenly(options: ViewOptions): View {
  // A blind query averages over all keys, not over those of its block.
  const { seesAny: _, ...view } = look({ ...options, queriesPerBlock: options.queries });
  return view;
}

/** {@link lookEvenly} for implementations that replace hidden logits rather than add to them: no gradient passes there. */
export function lookFilling(options: ViewOptions): View {
  const { mask, score, ...view } = lookEvenly(options);
  if (mask === undefined) return score === undefined ? view : { ...view, score };
  return { ...view, score: (logits) => where(equal(mask, 0), score?.(logits) ?? logits, hidden) };
}
