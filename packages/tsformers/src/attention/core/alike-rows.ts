import { concat, expandDims, reshape, scan, slice, split, type Tensor, transpose } from "@tsformers/engine";
import type { View } from "../../kinds/index.ts";
import { groupBy } from "../../schema/group-by.ts";
import { present } from "../../schema/present.ts";
import { movedTo, textOfBlocks } from "./patches.ts";
import type { Plan, QueryBlock } from "./plan.ts";
import type { Mixed } from "./query-block.ts";
import { concatenated, inStretches, unstacked } from "./segments.ts";

/** Stretches of queries that follow each other and see alike: keys of their own stretch, some before it and some after it. */
export type AlikeRows = {
  /** The first stretch's place, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** Keys that are seen before and after one's own stretch. */
  readonly before: number;
  readonly after: number;
  /** The blocks of each: queries counted from its first, keys from the first that it sees. */
  readonly plan: Plan;
  /** The blocks of the queries before all stretches and after them, which are written out; keys are counted from the first that is seen. */
  readonly head: Plan;
  readonly tail: Plan;
};

/** Queries of a stretch. */
const stretch = 2048;
/** Where fewer are alike, they are written out. */
const fewest = 4;

/** Most stretches of a long window are alike; undefined where few are, or see farther than their neighbours. */
export function alikeRows(
  { blocks, maskCells }: Plan,
  { queries, keys }: Pick<View, "queries" | "keys">,
): AlikeRows | undefined {
  if (queries !== keys || queries < (fewest + 1) * stretch) return undefined;
  const textOf = textOfBlocks();
  const runs: { first: number; length: number; blocks: readonly QueryBlock[]; text: string }[] = [];
  for (const [place, own] of groupBy(blocks, (block) => Math.floor(block.queries[0] / stretch))) {
    const moved = own.map((block) => movedTo(block, place * stretch, place * stretch));
    const text = textOf(moved);
    const last = runs.at(-1);
    if (last?.text === text) last.length++;
    else runs.push({ first: place, length: 1, blocks: moved, text });
  }
  const { first, length, blocks: own } = runs.reduce((a, b) => (b.length > a.length ? b : a));
  const before = Math.max(0, -lowest(own));
  const after = Math.max(0, highest(own) - stretch);
  // The stretch after the last one must be whole, too, if it is seen.
  const count = Math.min(length, Math.floor(keys / stretch) - first - (after > 0 ? 1 : 0));
  const [start, end] = [first * stretch, (first + count) * stretch];
  const within = (from: number, to: number) => blocks.filter(({ queries: [at] }) => at >= from && at < to);
  const [earlier, later] = [within(0, start), within(end, queries)];
  const seesNear = highest(earlier) <= start + after && lowest(later) >= end - before;
  const isWhole = own.every(({ queries }) => queries[1] <= stretch) && Math.max(before, after) <= stretch;
  if (count < fewest || !isWhole || !seesNear) return undefined;
  return {
    ...{ first, count, before, after },
    plan: { maskCells, blocks: own.map((block) => movedTo(block, 0, -before)) },
    head: { maskCells, blocks: earlier },
    tail: { maskCells, blocks: later.map((block) => movedTo(block, end, end - before)) },
  };
}

function lowest(blocks: readonly QueryBlock[]): number {
  return Math.min(...blocks.map(({ keys }) => keys[0]!));
}

function highest(blocks: readonly QueryBlock[]): number {
  return Math.max(...blocks.map(({ keys }) => keys.at(-1)!));
}

/** Queries [B, H, T, D], keys and values [B, K, S, ·], and which keys are real, [B, S]. */
export type Given = Readonly<Record<"q" | "key" | "value", Tensor>> & { readonly keyMask?: Tensor };

/**
 * Attention of a whole sequence, most of which is one loop over stretches that see alike.
 *
 * @param attendTo attends by the blocks of a plan
 * @shape  mixed [B, H, T, ·]
 */
export function attendAlike(
  rows: AlikeRows,
  { q, key, value, keyMask }: Given,
  attendTo: (plan: Plan, given: Given) => Mixed,
): Mixed {
  const queries = around(q, 2, { ...rows, before: 0, after: 0 });
  const [keys, values] = [around(key, 2, rows), around(value, 2, rows)];
  const masks = keyMask && around(keyMask, 1, rows);
  const edge = (which: "head" | "tail"): Mixed[] => {
    if (rows[which].blocks.length === 0) return [];
    const [q, key, value] = [queries, keys, values].map((parts) => concatenated(parts[which])) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const keyMask = masks && concatenated(masks[which], 1);
    return [attendTo(rows[which], { q, key, value, ...present({ keyMask }) })];
  };
  const xs = { q: queries.each, keys: keys.each, values: values.each, masks: masks?.each };
  const turn = (carry: null, { q, keys, values, masks }: typeof xs): [null, Mixed] => {
    const own = { q: q[0]!, key: concatenated(keys), value: concatenated(values) };
    const keyMask = masks && concatenated(masks, 1);
    return [carry, attendTo(rows.plan, { ...own, ...present({ keyMask }) })];
  };
  const [, { mixed, sums }] = scan(turn, null, xs, { unroll: false });
  const looped = { mixed: unstacked(mixed), ...(sums !== undefined && { sums: unstacked(sums) }) };
  const parts = [...edge("head"), looped, ...edge("tail")];
  const joined = concatenated(parts.map(({ mixed }) => mixed));
  return sums === undefined ? { mixed: joined } : { mixed: joined, sums: concatenated(parts.map(({ sums }) => sums!)) };
}

/** Parts of a sequence that are seen together: from each stretch, stacked [count, …] each, and from what is before and after all of them. */
type Around = { readonly each: readonly Tensor[]; readonly head: readonly Tensor[]; readonly tail: readonly Tensor[] };

/** Cuts so that gradients are joined: those of overlapping slices would be filled up with zeros and added. */
function around(
  x: Tensor,
  axis: number,
  { first, count, before, after }: Omit<AlikeRows, "plan" | "head" | "tail">,
): Around {
  const [start, length] = [first * stretch, count * stretch];
  const rest = x.shape[axis]! - start - length;
  const pieces = split(
    x,
    [start, length, rest].filter((size) => size > 0),
    axis,
  );
  const body = pieces[start > 0 ? 1 : 0]!;
  const [head, tail] = [start > 0 ? pieces[0] : undefined, rest > 0 ? pieces.at(-1) : undefined];
  const cut = inStretches(body, stretch, axis);
  const others = [...cut.shape.keys()].filter((at) => at !== axis);
  const own = transpose(cut, [axis, ...others]);
  const stackedPart = (from: number, to: number) => (to > from ? [slice(own, axis + 1, from, to)] : []);
  // The last keys of each stretch, which the next one sees, and the first ones, which the one before sees.
  const [ends, starts] = [stackedPart(stretch - before, stretch), stackedPart(0, after)];
  const [allEnds, lastEnd] = halves(ends, count - 1);
  const [firstStart, allStarts] = halves(starts, 1);
  const previous =
    ends.length === 0 ? [] : [concat([expandDims(slice(head!, axis, start - before, start), 0), ...allEnds], 0)];
  const next = starts.length === 0 ? [] : [concat([...allStarts, expandDims(slice(tail!, axis, 0, after), 0)], 0)];
  const flat = (parts: readonly Tensor[]) => parts.map((part) => reshape(part, part.shape.slice(1)));
  return {
    each: [...previous, own, ...next],
    head: [...(head === undefined ? [] : [head]), ...flat(firstStart)],
    tail: [...flat(lastEnd), ...(tail === undefined ? [] : [tail])],
  };
}

/** The first `at` places of a stack, and the others. */
function halves(stacks: readonly Tensor[], at: number): readonly [readonly Tensor[], readonly Tensor[]] {
  const parts = stacks.map((stack) => split(stack, [at, stack.shape[0]! - at], 0));
  return [parts.map(([first]) => first!), parts.map(([, second]) => second!)];
}
