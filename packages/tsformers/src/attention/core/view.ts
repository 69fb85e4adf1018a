import { add, iota, sub, type Tensor, where } from "@tsformers/engine";
import type { QkTransform, Slots, View } from "../../kinds/index.ts";
import { present } from "../../schema/present.ts";
import { prepareScores } from "./executor.ts";
import { hidden } from "./query-block.ts";

export type ViewOptions = Pick<
  View,
  | "pattern"
  | "queries"
  | "keys"
  | "offset"
  | "memory"
  | "keyMask"
  | "visible"
  | "current"
  | "globals"
  | "scores"
  | "queriesPerBlock"
  | "keptPairs"
  | "blindAverage"
> & {
  /** Positions, where rows of the batch differ. Default: 0, 1, 2, …; those of a memory are negative. */
  readonly positions?: { readonly query: Tensor; readonly key: Tensor };
  readonly rotation?: QkTransform;
};

/**
 * What one pass of a stack may see: pattern, padding, and position schemes prepared for these positions.
 *
 * @throws TypeError when both `positions` and a `memory` are given
 */
export function makeView(options: ViewOptions): View {
  const { rotation, positions: given, ...rest } = options;
  const { queries, keys, offset, memory = 0 } = options;
  if (given !== undefined && memory > 0) {
    throw new TypeError(
      "makeView: positions of rows that differ cannot be told from those of a memory; leave one away",
    );
  }
  const order = offset === undefined ? iota(queries) : add(iota(queries), offset);
  const line = offset === undefined ? { lines: { query: 0, keys: [{ from: -memory, length: keys }] } } : {};
  const positions = given ?? { query: order, key: memory === 0 ? iota(keys) : sub(iota(keys), memory), ...line };
  // Cached keys were rotated when they were new; the keys of this pass are at the positions of its queries.
  const turned = offset === undefined ? positions : { query: positions.query, key: positions.query };
  const view = { ...rest, positions, ...present({ rotate: rotation?.prepare(turned) }) };
  return { ...view, prepared: prepareScores(view) };
}

/** {@link makeView} over keys stored in slots: the view of a decoding step. */
export function makeViewOfSlots(
  { pattern, positions, visible, isSighted }: Slots,
  { rotation, scores }: Pick<ViewOptions, "rotation" | "scores">,
): View {
  const [queries, keys] = [positions.query.shape[0]!, positions.key.shape[0]!];
  const view: View = {
    pattern,
    queries,
    keys,
    positions,
    // Cached keys were rotated when they were new; the keys of this pass are at the positions of its queries.
    ...present({
      visible,
      scores,
      blindAverage: isSighted,
      rotate: rotation?.prepare({ query: positions.query, key: positions.query }),
    }),
    // Without consecutive positions, scores could not distinguish blocks of queries.
    ...(positions.lines === undefined && { queriesPerBlock: queries }),
  };
  return { ...view, prepared: prepareScores(view) };
}

/**
 * {@link makeView} with the convention of PyTorch implementations: a query that sees no key averages over all keys instead of getting 0.
 * Only losses at such positions differ.
 */
export function makeAveragingView(options: ViewOptions): View {
  return makeView({ ...options, blindAverage: true });
}

/** {@link makeAveragingView} for implementations that overwrite hidden logits instead of adding to them: no gradient reaches those. */
export function makeFillingView(options: ViewOptions): View {
  return { ...makeAveragingView(options), hide: (logits, visible) => where(visible, logits, hidden) };
}
