import { concat, recomputeEach, reshape, slice, split, type Tensor } from "@tsformers/engine";
import type { KeyValueCache, Score, View } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import { present } from "../../schema/present.ts";
import type { Pattern } from "../patterns/pattern.ts";
import { type AlikeRows, alikeRows, attendAlike } from "./alike-rows.ts";
import type { Attended, AttendOptions } from "./attended.ts";
import { joinParts } from "./join-parts.ts";
import { type JoinedMap, joinMaps } from "./map.ts";
import { partsInPlace } from "./own-place.ts";
import { computedPairs, type Plan, plansOf, type QueryBlock, tileSide } from "./plan.ts";
import {
  attendBlock,
  type BlockInput,
  blockMap,
  inPlanOrder,
  type Mixed,
  type PlanMap,
  positionsOf,
} from "./query-block.ts";
import { inverseOf, rearrange } from "./rearrange.ts";
import { countRuns } from "./runs.ts";
import { concatenated, cutsOf, piecesOf } from "./segments.ts";
import { besideSink } from "./sink.ts";
import { attendTiles } from "./tiles.ts";
import { attendUniformBlocks, type UniformBlocks, uniformBlocks } from "./uniform-blocks.ts";
import { attendWhole } from "./whole.ts";

export type { Attended, AttendOptions } from "./attended.ts";

/**
 * `softmax(scale·q·kᵀ + …)·v` over the visible pairs of the view, computed block by block of queries: each block with the keys that
 * any of its queries sees, masked inside where not all of them do. Queries that see no key get 0.
 *
 * For long sequences no weights are kept for the gradient: blocks are recomputed one at a time, so that peak memory in both
 * directions is that of one block.
 *
 * @shape  q [B, H, T, D], key [B, K, S, D], value [B, K, S, D or another width]; each key head serves H/K consecutive heads
 * @cost   O(B·H·P·D) time for P visible pairs (rounded up to blocks); memory O(B·H·(T + S)·D) and the weights of one block
 */
export function attend(q: Tensor, entries: KeyValueCache, options: AttendOptions): Attended {
  const { view, sink } = options;
  if (isWhole(view)) return attendWhole(q, entries, options);
  const groups = headGroups(q.shape[1]!, entries.key.shape[1]!, view.pattern);
  const recomputed = recomputes(view);
  const given = { ...options, recomputed, isPlain: isPlain(q, options) };
  const aligned = alignedPlans(groups, view);
  if (aligned !== undefined) {
    const keyHeads = groups.flatMap(({ keyHeads }) => keyHeads);
    const [key, value] = [headPicker(entries.key)(keyHeads), headPicker(entries.value)(keyHeads)];
    const { out, maps } = attendPlans(aligned, { ...given, q, key, value }, sink !== undefined);
    const map = () =>
      joinMaps(
        maps().map((map) => [map]),
        view.keys,
      );
    return besideSinkOf(sink, out, map);
  }
  const order = groups.flatMap(({ heads }) => heads);
  const byGroup = () => {
    const [queries, keys, values] = [headPicker(q), headPicker(entries.key), headPicker(entries.value)];
    return groups.map(({ pattern, heads, keyHeads }) =>
      attendPattern(pattern, {
        ...given,
        q: queries(heads),
        key: keys(keyHeads),
        value: values(keyHeads),
        ...(groups.length !== 1 && { heads }),
      }),
    );
  };
  const joined = (parts: readonly Mixed[]): Mixed => {
    const inOrder = (of: (part: Mixed) => Tensor) => putHeadsBack(parts.map(of), order);
    return {
      mixed: inOrder(({ mixed }) => mixed),
      ...(sink !== undefined && { sums: inOrder(({ sums }) => sums!) }),
    };
  };
  const placed = given.isPlain && recomputed ? keysInPlace(groups, entries, view) : undefined;
  const parts = placed === undefined ? byGroup() : undefined;
  const out =
    placed === undefined
      ? joined(parts!.map(({ out }) => out))
      : attendPattern(groups[0]!.pattern, { ...given, q, ...placed }).out;
  return besideSinkOf(sink, out, () => {
    const { weights, keys, sums } = joinMaps(
      (parts ?? byGroup()).map(({ maps }) => maps()),
      view.keys,
    );
    return {
      weights: putHeadsBack([weights], order),
      sums: putHeadsBack([sums], order),
      ...(keys !== undefined && { keys: putHeadsBack([keys], order) }),
    };
  });
}

/** What is attended, its sink taken into account where there is one. */
function besideSinkOf(sink: Tensor | undefined, { mixed, sums }: Mixed, map: () => JoinedMap): Attended {
  return {
    mixed: sink === undefined ? mixed : besideSink(mixed, sums!, sink),
    map: () => {
      const { sums, weights, ...rest } = map();
      return { weights: sink === undefined ? weights : besideSink(weights, sums, sink), ...rest };
    },
  };
}

/** Scores of the blocks whose weights are kept: computed once for all layers of a stack, outside what is recomputed. */
export function prepareScores(view: View): ReadonlyMap<unknown, Score> {
  const { scores, pattern } = view;
  if (scores === undefined) return new Map();
  if (isWhole(view)) return new Map([[pattern, scores(view.positions)]]);
  if (pattern.heads !== undefined || recomputes(view)) return new Map();
  return new Map(
    plansOf(pattern, view).flatMap((plan) =>
      plan.blocks.map((block): [QueryBlock, Score] => [block, scores(positionsOf(view, plan, block))]),
    ),
  );
}

/** The most pairs of a head whose weights are kept for the gradient, unless the view says otherwise. */
const keptPairs = 2 ** 20;

/** Whether all pairs are computed at once: for single queries, and to reproduce the conventions of other implementations. */
function isWhole({ offset, blindAverage, hide, visible, queries }: View): boolean {
  const isStep = visible !== undefined && queries === 1;
  return isStep || offset !== undefined || blindAverage !== undefined || hide !== undefined;
}

/** Whether logits are products alone, of which the tiles of {@link attendTiles} are made. */
function isPlain(q: Tensor, { view, cap, dropoutRate = 0, context }: AttendOptions): boolean {
  const dropped = dropoutRate > 0 && context.key !== undefined;
  return view.scores === undefined && cap === undefined && !dropped && q.dtype === "float32";
}

function recomputes(view: View): boolean {
  return computedPairs(view.pattern, view) > (view.keptPairs ?? keptPairs);
}

/** Heads with the same pattern. */
type HeadGroup = { readonly pattern: Pattern; readonly heads: readonly number[]; readonly keyHeads: readonly number[] };

function headGroups(heads: number, keyHeads: number, pattern: Pattern): HeadGroup[] {
  const all = Array.from({ length: heads }, (_, head) => head);
  if (pattern.heads === undefined) return [{ pattern, heads: all, keyHeads: all.slice(0, keyHeads) }];
  const { heads: patterns } = pattern;
  return [...new Set(patterns.slice(0, heads))].map((own) => {
    const members = all.filter((head) => patterns[head % patterns.length] === own);
    return { pattern: own, heads: members, keyHeads: members.map((head) => Math.floor((head * keyHeads) / heads)) };
  });
}

function isInOrder(heads: readonly number[]): boolean {
  return heads.every((head, i) => head === i);
}

/** Selects heads of [B, H, ·, ·]. It is cut only once, whatever is selected: so are its gradients joined once, and need not be filled up and added. */
function headPicker(x: Tensor): (heads: readonly number[]) => Tensor {
  let cut: readonly Tensor[] | undefined;
  return (heads) => {
    if (heads.length === x.shape[1] && isInOrder(heads)) return x;
    const pieces = (cut ??= split(x, x.shape[1]!, 1));
    return concat(
      heads.map((head) => pieces[head]!),
      1,
    );
  };
}

/**
 * Keys and values whose parts are moved so that the heads of all groups see what they should where those of the first group look; undefined where
 * patterns differ in more than this.
 */
function keysInPlace(
  groups: readonly HeadGroup[],
  { key, value }: KeyValueCache,
  view: View,
): KeyValueCache | undefined {
  const heads = groups.flatMap(({ heads }) => heads);
  if (groups.length === 1 || view.keyMask !== undefined || view.visible !== undefined) return undefined;
  if (key.shape[1] !== heads.length) return undefined;
  const plans = groups.map(({ pattern }) => tiledPlans(pattern, view));
  if (plans.some((own) => own.length > 1)) return undefined;
  const parts = plans.map(([plan]) => partsInPlace(plans[0]![0]!, plan!, view.keys));
  if (parts.includes(undefined)) return undefined;
  const put = (x: Tensor): Tensor => {
    const [batch, , keys, width] = x.shape as [number, number, number, number];
    const pick = headPicker(x);
    const moved = groups.map(({ heads }, i) => {
      const inParts = reshape(pick(heads), [batch, heads.length, parts[i]!.length, -1, width]);
      const isThere = parts[i]!.every((part, at) => part === at);
      return reshape(isThere ? inParts : rearrange(inParts, parts[i]!, 2), [batch, heads.length, keys, width]);
    });
    return putHeadsBack(moved, heads);
  };
  return { key: put(key), value: put(value) };
}

/** Joins groups whose heads, one group after the other, are `order`. */
function putHeadsBack(parts: readonly Tensor[], order: readonly number[]): Tensor {
  if (parts.length === 1 && (isInOrder(order) || parts[0]!.shape[1] === 1)) return parts[0]!;
  if (isInOrder(order)) return concat(parts, 1);
  const pieces = parts.flatMap((part) => split(part, part.shape[1]!, 1));
  return concat(
    [...inverseOf(Int32Array.from(order))].map((at) => pieces[at]!),
    1,
  );
}

type PatternInput = AttendOptions & {
  readonly q: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly recomputed: boolean;
  readonly isPlain: boolean;
  readonly heads?: readonly number[];
};

function attendPattern(pattern: Pattern, input: PatternInput): { out: Mixed; maps: () => PlanMap[] } {
  const { view, recomputed } = input;
  const together = mayBeTogether(input);
  const plans =
    recomputed && input.isPlain ? tiledPlans(pattern, view, together) : plansOf(pattern, { ...view, together });
  const parts = plans.map((plan, i) =>
    attendPlans([plan], { ...input, context: within(input.context, i) }, plans.length > 1 || input.sink !== undefined),
  );
  return { out: joinParts(parts.map(({ out }) => out)), maps: () => parts.flatMap(({ maps }) => maps()) };
}

/** Tiles where rows of keys are long; shorter ones are computed at once. */
function tiledPlans(pattern: Pattern, view: View, together = false): readonly Plan[] {
  const tiled = plansOf(pattern, { ...view, tile: tileSide(view.keys) });
  return plansOf(pattern, { ...view, together }).map((plan, part) => (isCut(tiled[part]!) ? tiled[part]! : plan));
}

/** Whether several blocks have the same queries. */
function isCut({ blocks }: Plan): boolean {
  return blocks.some(({ queries }, i) => queries[0] === blocks[i + 1]?.queries[0]);
}

/**
 * Plans of heads that can be computed together, because block by block they have equally many keys. Undefined where blocks differ in
 * size, or where scores would need to differ between the plans.
 */
function alignedPlans(groups: readonly HeadGroup[], view: View): readonly Plan[] | undefined {
  const separate = groups.length > 1 && groups.every(({ heads }, i) => heads.length === 1 && heads[0] === i);
  if (!separate || view.scores !== undefined) return undefined;
  const plans = groups.map(({ pattern }) => plansOf(pattern, view));
  if (plans.some((own) => own.length > 1 || own[0]!.order !== undefined)) return undefined;
  const [first, ...rest] = plans.map(([plan]) => plan!);
  const shape = (plan: Plan) => plan.blocks.map(({ queries, keys }) => [...queries, countRuns(keys)].join()).join(" ");
  return rest.every((plan) => shape(plan) === shape(first!)) ? [first!, ...rest] : undefined;
}

/** Computes one plan for all heads, or one plan per head where those are aligned. */
function attendPlans(
  plans: readonly Plan[],
  input: PatternInput,
  withSums: boolean,
): { out: Mixed; maps: () => PlanMap[] } {
  const [plan] = plans as [Plan, ...Plan[]];
  const { order, blocks } = plan;
  // Blocks of the same queries, each with some of their keys, are adjacent.
  const rows = [...new Set(blocks.map(({ queries: [from] }) => from))];
  const arrange = (x: Tensor): Tensor => (order === undefined ? x : rearrange(x, order, 2));
  const putBack = (x: Tensor): Tensor => (order === undefined ? x : rearrange(x, inverseOf(order), 2));
  const [q, key, value] = [arrange(input.q), arrange(input.key), arrange(input.value)];
  /** Made only where blocks are computed one by one, or looked at. */
  const inputsOf = () => {
    const queries = split(
      q,
      rows.map((from, i) => (rows[i + 1] ?? input.view.queries) - from),
      2,
    );
    const entriesOf = inSegments({ key, value }, plans);
    return blocks.map((block, i): BlockInput & { x: Tensor } => ({
      ...input,
      plan,
      blocks: plans.map((own) => own.blocks[i]!),
      x: queries[rows.indexOf(block.queries[0])]!,
      entries: () => entriesOf(i),
      withSums: withSums || blocks.length > rows.length,
      context: within(input.context, i),
    }));
  };
  const outOf = (): Mixed => {
    const uniform = uniformOf(plans, input);
    if (uniform !== undefined) {
      const { view, recomputed } = input;
      const keyMask = view.keyMask && inPlanOrder(view.keyMask, plan);
      const pairsAtOnce = recomputed ? (view.keptPairs ?? keptPairs) : undefined;
      return attendUniformBlocks(uniform, { ...input, q, key, value, withSums, ...present({ keyMask, pairsAtOnce }) });
    }
    if (input.recomputed && input.isPlain && plans.length === 1) {
      const arranged = { ...input, q, key, value };
      if (isCut(plan)) return attendTiles(plan, arranged);
      const alike = input.view.visible === undefined ? alikeRows(plan, input.view) : undefined;
      if (alike !== undefined) return attendLong(alike, plan, arranged, withSums);
    }
    const inputs = inputsOf();
    const outs = input.recomputed ? computedAgain(inputs) : inputs.map((own) => attendBlock(own.x, own));
    const joined = rows.map((from) => joinParts(outs.filter((_, i) => blocks[i]!.queries[0] === from)));
    const sums = joined.flatMap(({ sums }) => sums ?? []);
    const mixed = concatenated(joined.map(({ mixed }) => mixed));
    return sums.length === 0 ? { mixed } : { mixed, sums: concatenated(sums) };
  };
  const { mixed, sums } = outOf();
  const maps = () => {
    const all = inputsOf().map((own) => blockMap(own.x, own));
    if (plans.length === 1) return [{ plan, blocks: all }];
    return plans.map((plan, head) => {
      const own = (x: Tensor) => slice(x, 1, head, head + 1);
      return { plan, blocks: all.map(({ weights, sums }) => ({ weights: own(weights), sums: own(sums) })) };
    });
  };
  return { out: { mixed: putBack(mixed), ...(sums !== undefined && { sums: putBack(sums) }) }, maps };
}

/** The plan as blocks that can be computed together, each as if it were a head. */
function uniformOf([plan, ...others]: readonly Plan[], input: PatternInput): UniformBlocks | undefined {
  if (others.length > 0 || !mayBeTogether(input)) return undefined;
  return uniformBlocks(plan!, input.view.queries, input.view.keys);
}

function mayBeTogether({ view, q, key, isPlain }: PatternInput): boolean {
  return isPlain && view.visible === undefined && q.shape[1] === key.shape[1];
}

/** Blocks that repeat along the sequence as one loop. Queries, keys and values are in the order of the plan. */
function attendLong(alike: AlikeRows, plan: Plan, input: PatternInput, withSums: boolean): Mixed {
  const { keyMask, ...view } = input.view;
  const inOrder = { ...input, ...present({ keyMask: keyMask && inPlanOrder(keyMask, plan) }) };
  return attendAlike(alike, inOrder, (part, { keyMask, ...given }) => {
    const lengths = { queries: given.q.shape[2]!, keys: given.key.shape[2]! };
    return attendPlans([part], { ...input, ...given, view: { ...view, ...lengths, ...present({ keyMask }) } }, withSums)
      .out;
  });
}

function computedAgain(inputs: readonly (BlockInput & { x: Tensor })[]): Mixed[] {
  const parts = inputs.map((own) => ({
    x: own.x,
    fn: (x: Tensor) => {
      const { mixed, sums } = attendBlock(x, own);
      return sums === undefined ? [mixed] : [mixed, sums];
    },
  }));
  return recomputeEach(parts).map(([mixed, sums]) =>
    sums === undefined ? { mixed: mixed! } : { mixed: mixed!, sums },
  );
}

/** The keys and values of each block, for one plan shared by all heads or one plan per head. */
function inSegments({ key, value }: KeyValueCache, plans: readonly Plan[]): (block: number) => KeyValueCache {
  const cuts = plans.map((plan) => cutsOf(plan, key.shape[2]!));
  if (plans.length === 1) {
    const [keys, values] = [piecesOf(key, cuts[0]!), piecesOf(value, cuts[0]!)];
    return (block) => ({ key: keys(block), value: values(block) });
  }
  // Keys and values are cut together: each head has its own pieces, and this halves the number of nodes.
  const both = concat([key, value], -1);
  const heads = cuts.map((own, head) => piecesOf(slice(both, 1, head, head + 1), own));
  const width = key.shape.at(-1)!;
  return (block) => {
    const joined = concat(
      heads.map((pieces) => pieces(block)),
      1,
    );
    const [ownKeys, ownValues] = split(joined, [width, value.shape.at(-1)!], -1);
    return { key: ownKeys!, value: ownValues! };
  };
}
