import { type Concrete, concat, full as filled, normal, pad, slice, splitKey, Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { AttentionMap, KeyValueCache, Mixer, Positions, Score } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { within } from "../../nn/dropout.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type Attended, attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { etc } from "../patterns/etc.ts";
import { fullPattern, type Pattern } from "../patterns/pattern.ts";
import { byDistance, byMembership, type Labelling, labelScore } from "./etc-labels.ts";
import { type Membership, membershipOf, ownAndGlobal, type Range, transposed } from "./etc-segments.ts";

/** One of the two inputs as queries: its query vectors, its pattern, and how its pairs are labelled. */
export type EtcSide = {
  /** [B, H, T, D] */
  readonly query: Tensor;
  /** Keys and values of the global input followed by those of the long input: [B, H, G + L, D]. */
  readonly entries: KeyValueCache;
  /** Which positions of [global ‖ long] each query of this side sees. */
  readonly pattern: Pattern;
  /** Further mask on what the pattern shows, where rows of the batch differ: bool [B, 1, T, G + L]. */
  readonly visible?: Tensor;
  readonly scores?: (positions: Positions) => Score;
};

export type EtcOptions = {
  readonly scale: number;
  /** 1 for real positions of [global ‖ long], 0 for padding, [B, G + L]. */
  readonly keyMask?: Tensor;
  readonly dropoutRate?: number;
  readonly context: Context;
};

/**
 * Global-local attention of one side: its queries see both inputs under one softmax.
 *
 * @shape  → [B, H, T, D] of the side
 * @source Ainslie et al. 2020, "ETC: Encoding Long and Structured Inputs in Transformers", §2.2, arXiv:2004.08483
 */
export function attendSide({ query, entries, pattern, visible, scores }: EtcSide, options: EtcOptions): Attended {
  const { keyMask, ...rest } = options;
  const sizes = { pattern, queries: query.shape[2]!, keys: entries.key.shape[2]! };
  const view = makeView({
    ...sizes,
    ...present({ keyMask, visible, scores }),
  });
  return attend(query, entries, { ...rest, view });
}

export type EtcAttentionOptions = HeadProjectionOptions & {
  /** G: how many leading positions form the global input. */
  readonly globals: number;
  /** r: how far long positions see to each side. */
  readonly radius: number;
  /** Distances up to this have labels of their own. 0: no labels by distance or segment. */
  readonly furthestLabel: number;
  /**
   * The segment of each long position, [L], or int32 [B, L] where rows differ; global token s summarises segment s. Pairs within and across
   * have different labels. Default: global tokens belong to all.
   */
  readonly segments?: ArrayLike<number> | Tensor;
  /** Whether a global token sees only its own segment. Default: false. */
  readonly hard?: boolean;
};

const refusals = { scores: "it has its own relative position labels" };

export type EtcAttentionParams = {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  out: LinearParams;
  labels?: { vectors: Tensor; biases: Tensor };
};

/**
 * ETC's mixer over [global ‖ long]: four parts of attention in two softmaxes. The two sides share their projections, as in ETC models
 * initialised from BERT.
 *
 * `y_i = softmax((q_i·k_j + q_i·P[id_ij] + b[id_ij])/√D)·v_j`; long i: j ∈ G or |i − j| ≤ r; global i: all j, or only its own segment.
 *
 * Labels: 0 same position, 1 … k right, k + 1 … 2k left, then own segment, other segment, and a global token's other segment.
 *
 * @shape  x [B, G + L, C] → y [B, G + L, C]
 * @cost   O(B·(G·(G + L) + L·(G + 2r + 1))·C) time
 * @source Ainslie et al. 2020, "ETC", §2.2–2.4, arXiv:2004.08483
 */
export function etcAttention(options: EtcAttentionOptions): Mixer<EtcAttentionParams> {
  const { globals, radius, furthestLabel: k, segments, hard = false, dropoutRate = 0 } = options;
  const heads = headProjections("etcAttention", options);
  const rowsDiffer = segments instanceof Tensor;
  const joint = etc({ globals, radius, ...(hard && segments !== undefined && !rowsDiffer && { segments }) });
  const long: Pattern = { name: "ETC, long", keys: (query, length) => joint.keys(globals + query, length) };
  const own = membershipOf(segments);
  return {
    name: "etc",
    sees: "all",
    init: (key): Concrete<EtcAttentionParams> => {
      const [q, k1, v, o, l] = splitKey(key, 5);
      const params = {
        query: heads.initHeads(q!),
        key: heads.initHeads(k1!),
        value: heads.initHeads(v!),
        out: heads.initOut(o!),
      };
      if (k === 0) return params;
      const count = 2 * k + 4;
      const vectors = normal(l!, [count, options.heads, heads.headWidth], { deviation: 0.5 });
      return { ...params, labels: { vectors, biases: filled([count, options.heads], 0) } };
    },
    apply: (params, input, context) => {
      oneSequence("etcAttention", input);
      const { x, view } = input;
      const length = x.shape[1]!;
      requireSupport("etcAttention", view, refusals);
      const turn = view.rotate;
      const all = heads.toHeads(params.query, x);
      const query = turn?.query(all) ?? all;
      const key = heads.toHeads(params.key, x);
      const value = heads.toHeads(params.value, x);
      const entries = { key: turn?.key(key) ?? key, value: turn?.value?.(value) ?? value };
      const given = (part: string): EtcOptions => ({
        scale: 1 / Math.sqrt(heads.headWidth),
        dropoutRate,
        context: within(context, part),
        ...present({ keyMask: view.keyMask }),
      });
      const labelled = (labelling: Labelling) =>
        params.labels === undefined ? {} : { scores: labelScore(params.labels, labelling) };
      const globalSide = attendSide(
        {
          query: slice(query, 2, 0, Math.min(globals, length)),
          entries,
          pattern: hard ? joint : fullPattern,
          ...(hard && rowsDiffer && { visible: ownAndGlobal(segments, globals) }),
          ...labelled(labelsOf("global", options, own)),
        },
        given("global"),
      );
      if (length <= globals) return { y: heads.fromHeads(params.out, globalSide.mixed, context), map: globalSide.map };
      const longSide = attendSide(
        { query: slice(query, 2, globals), entries, pattern: long, ...labelled(labelsOf("long", options, own)) },
        given("long"),
      );
      const mixed = concat([globalSide.mixed, longSide.mixed], 2);
      return {
        y: heads.fromHeads(params.out, mixed, context),
        map: () => mapOf(globalSide, longSide, globals),
      };
    },
  };
}

/** Label terms of one side: pairs within a side are labelled by distance, pairs across the sides by segment. */
function labelsOf(
  side: "global" | "long",
  { furthestLabel: k, globals }: EtcAttentionOptions,
  own: Membership,
): Labelling {
  const near = byDistance(k);
  const across = byMembership(side === "long" ? [2 * k + 1, 2 * k + 2] : [2 * k + 1, 2 * k + 3]);
  return (added, positions) => {
    const { query: first, keys } = positions.lines!;
    const start = side === "long" ? globals + first : first;
    const queries: Range = [first, first + added.shape[2]!];
    const parts = keys.flatMap(({ from, length }) => {
      const middle = Math.min(Math.max(globals, from), from + length);
      return [
        { isWithin: side === "global", from, to: middle },
        { isWithin: side === "long", from: middle, to: from + length },
      ].filter(({ from, to }) => to > from);
    });
    return parts.map(({ isWithin, from, to }) => {
      if (isWithin) {
        const lines = { query: start, keys: [{ from, length: to - from }] };
        return { keys: to - from, added: near(added, { ...positions, lines }) };
      }
      const isOwn =
        side === "long" ? transposed(own([from, to], queries)) : own(queries, [from - globals, to - globals]);
      return { keys: to - from, added: across(added, isOwn) };
    });
  };
}

function mapOf(global: Attended, long: Attended, globals: number): AttentionMap {
  const { weights, keys } = long.map();
  const apart = { queries: Array.from({ length: globals }, (_, i) => i), weights: global.map().weights };
  const behind = (x: Tensor) =>
    pad(x, [
      [0, 0],
      [0, 0],
      [globals, 0],
      [0, 0],
    ]);
  return { weights: behind(weights), ...(keys !== undefined && { keys: behind(keys) }), apart };
}

export type EtcAttentionSettings = {
  readonly globals?: number;
  readonly radius?: number;
  readonly furthestLabel?: number;
};

export const etcEntry: MixerEntry<"etc", EtcAttentionSettings> = /* @__PURE__ */ mixerEntry({
  name: "etc",
  title: "ETC's global-local attention",
  year: 2020,
  paper: "Ainslie et al. 2020, ETC: Encoding Long and Structured Inputs in Transformers, arXiv:2004.08483",
  summary: "two inputs: a short global one that sees all, a long one that sees it and its neighbours",
  formula: "softmax((q_i·k_j + q_i·P[id_ij] + b[id_ij])/√D)·v_j, long i: j ∈ G or |i − j| ≤ r; global i: all j",
  cost: "O(n·(r + g)·d) time, O(n·d) memory",
  exponent: 1,
  directions: ["bidirectional"],
  refuses: refusals,
  options: () =>
    z.strictObject({
      globals: positionCount().default(8).describe("how many positions in front are the global input"),
      radius: positionCount(0).default(84).describe("how far long positions see to each side"),
      furthestLabel: positionCount(0)
        .default(12)
        .describe("distances up to this have labels of their own; 0: no labels"),
    }),
  make: (settings, context) => etcAttention({ ...context, ...settings }),
});
