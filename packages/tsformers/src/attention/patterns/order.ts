import type { Pattern } from "./pattern.ts";

/** Positions rearranged; see {@link Pattern.order}. */
export type Order = NonNullable<Pattern["order"]>;

const known = new Map<string, Order>();

/** Returns one function object per rule: patterns that share it are computed together. */
export function sharedOrder(rule: string, order: Order): Order {
  const first = known.get(rule) ?? order;
  known.set(rule, first);
  return first;
}

/** Positions 0, stride, 2·stride, … first, then 1, stride + 1, …: column by column on a grid of `stride` columns. */
export function byResidue(stride: number): Order {
  return sharedOrder(`residue ${stride}`, (length) => {
    const order = new Int32Array(length);
    let at = 0;
    for (let first = 0; first < Math.min(stride, length); first++) {
      for (let position = first; position < length; position += stride) order[at++] = position;
    }
    return order;
  });
}

/** The positions for which `isFirst` holds, then the others, each in the order of `rest`. Default of `rest`: sequence order. */
export function inFront(rule: string, isFirst: (position: number) => boolean, rest?: Order): Order {
  return sharedOrder(rule, (length) => {
    const all = rest?.(length) ?? Int32Array.from({ length }, (_, position) => position);
    return Int32Array.from([...all.filter(isFirst), ...all.filter((position) => !isFirst(position))]);
  });
}

/** The pattern with one order throughout, so that its parts are not computed separately, each in its own order. */
export function laidOut(pattern: Pattern, order: Order): Pattern {
  const { parts: _, heads, ...rest } = pattern;
  return heads === undefined ? { ...rest, order } : { ...rest, heads: heads.map((own) => laidOut(own, order)) };
}
