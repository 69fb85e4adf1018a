import {
  type Concrete,
  cast,
  constant,
  equal,
  expandDims,
  full as filled,
  fromNumbers,
  iota,
  lessEqual,
  max,
  mul,
  splitKey,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { KeyValueCache, Mixer, Recurrent, View } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { requireCounts } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { rotated } from "../core/cached-entries.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { ringDecoding, viewOfSlots, writeSlots } from "../core/ring.ts";
import { clipRuns, runsOf, uniteRuns } from "../core/runs.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { fullPattern, type Pattern } from "../patterns/pattern.ts";
import { slidingWindow } from "../patterns/window.ts";
import { type AttentionParams, attention } from "./attention.ts";
import { fixedGlobals, type GlobalTokens, givenGlobals, lookAgain } from "./global-tokens.ts";

export type LongformerAttentionOptions = HeadProjectionOptions & {
  /** w: w/2 neighbours on each side; causal: w positions before the query. */
  readonly window: number;
  /** Positions that see all, and that all see, in rows whose view does not tell. */
  readonly globals: readonly number[];
  /** How many tokens of a row can be global where the view tells which; those beyond are like the others. Default: 64. */
  readonly maxGlobals?: number;
  readonly causal: boolean;
};

export type LongformerAttentionParams = AttentionParams & {
  globalQuery: LinearParams;
  globalKey: LinearParams;
  globalValue: LinearParams;
};

const defaults = { maxGlobals: 64 };

/**
 * Longformer's attention: a window of neighbours and the global tokens under one softmax. The queries of global tokens use
 * separate projections of queries, keys and values, which are initialised like those of the window.
 *
 * `y_t = softmax(q_t·k_S)·v_S` with `S = window(t) ∪ G` for t ∉ G; `y_t = softmax(q′_t·k′)·v′` over all positions for t ∈ G.
 *
 * G is the same in all rows (`globals`), or told by the view, row by row; the causal form knows the former only. Padding is never in S;
 * where the form is not causal, what padding itself mixes is 0.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(w + g)·C) time, O(B·T·C) memory, g being `maxGlobals` where the view tells; decoding keeps w + g positions, and all
 *   those before the last global one
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §3.1, arXiv:2004.05150
 * @throws RangeError when `window` is odd and not causal; TypeError when the view tells global tokens of the causal form
 */
export function longformerAttention(options: LongformerAttentionOptions): Mixer<LongformerAttentionParams> {
  const { window, causal, maxGlobals = defaults.maxGlobals } = options;
  requireCounts("longformerAttention", { maxGlobals });
  if (!causal && window % 2 !== 0) {
    throw new RangeError(`longformerAttention: expected an even window, half of it on each side, got ${window}`);
  }
  const near = attention(options);
  const heads = headProjections("longformerAttention", options);
  const scale = 1 / Math.sqrt(heads.headWidth);
  const globals = [...new Set(options.globals)].sort((a, b) => a - b);
  const pattern = neighbours(causal ? window : window / 2, causal ? 0 : window / 2, globals, causal);
  const behind = new Map<number, Pattern>();
  const behindSlots = (slots: number): Pattern => {
    const known = behind.get(slots) ?? neighboursBehind(slots, window / 2);
    behind.set(slots, known);
    return known;
  };
  const globalsOf = (view: View): GlobalTokens | undefined => {
    if (view.globals !== undefined) {
      if (!causal) return givenGlobals(view, view.globals, maxGlobals, behindSlots);
      throw new TypeError("longformerAttention: the causal form has the global tokens it was made with, and no others");
    }
    const here = globals.filter((position) => position < view.queries);
    if (here.length === 0) return undefined;
    return fixedGlobals(view, here, { near: pattern, wide: causal ? upTo(here) : fullPattern });
  };
  const keysAndValues = (params: LongformerAttentionParams, x: Tensor, view: View): KeyValueCache => {
    const key = heads.toHeads(params.globalKey, x);
    const value = heads.toHeads(params.globalValue, x);
    return rotated({ key, value }, view);
  };
  return {
    name: "longformer",
    sees: causal ? "earlier" : "all",
    ...(!causal && { readsGlobals: true }),
    init: (key): Concrete<LongformerAttentionParams> => {
      const [own] = splitKey(key, 1);
      const params = near.init(own!);
      return { ...params, globalQuery: params.query, globalKey: params.key, globalValue: params.value };
    },
    apply: (params, input, context) => {
      oneSequence("longformerAttention", input);
      const { x, view } = input;
      const tokens = globalsOf(view);
      const query = heads.toHeads(params.query, x);
      const own = near.keysAndValues(params, x, view);
      const rest = {
        scale,
        context,
        ...present({ dropoutRate: options.dropoutRate }),
      };
      const { mixed, map } = attend(view.rotate?.query(query) ?? query, tokens?.near(own) ?? own, {
        ...rest,
        view: tokens?.nearView ?? lookAgain(view, { pattern }),
      });
      const out = (mixed: Tensor): Tensor =>
        heads.fromHeads(params.out, causal ? mixed : withoutPadding(mixed, view), context);
      if (tokens === undefined) return { y: out(mixed), map };
      const asked = (x: Tensor): Tensor => heads.toHeads(params.globalQuery, x);
      // Rotation is prepared for all positions; without rotation, only the few global rows are projected.
      const turned = view.rotate === undefined ? asked(tokens.pick(x)) : tokens.pick(view.rotate.query(asked(x)));
      const wide = attend(turned, keysAndValues(params, x, view), {
        ...rest,
        context: within(context, "global"),
        view: tokens.wideView,
      });
      return { y: out(tokens.put(mixed, wide.mixed)), map: () => tokens.map(map(), wide.map()) };
    },
    ...(causal && { recurrent: recurrent() }),
  };

  function recurrent(): Recurrent<LongformerAttentionParams, never> {
    const ring = ringDecoding(near, { window, pinned: globals });
    const room = (globals.at(-1) ?? -1) + 1;
    const decoding: Recurrent<LongformerAttentionParams, { near: KeyValueCache; global: KeyValueCache }> = {
      start: (batch, capacity) => {
        const shape = [batch, options.heads, Math.max(room, 1), heads.headWidth];
        return { near: ring.start(batch, capacity), global: { key: filled(shape, 0), value: filled(shape, 0) } };
      },
      step: (params, x, state, at) => {
        const { position, view } = at;
        const local = ring.step(params, x, state.near, at);
        if (globals.length === 0) return { y: local.y, state: { near: local.state, global: state.global } };
        const own = keysAndValues(params, x, view);
        const slots = iota(room);
        const entries = writeSlots(state.global, own, slots, position);
        const whole = viewOfSlots(view, position, slots, lessEqual(slots, position));
        const asked = heads.toHeads(params.globalQuery, x);
        const turned = view.rotate?.query(asked) ?? asked;
        const { mixed } = attend(turned, entries, { scale, context: {}, view: whole });
        const isGlobal = max(
          cast(equal(constant(fromNumbers(globals, [globals.length], "int32")), position), "float32"),
        );
        const y = where(equal(isGlobal, 1), heads.fromHeads(params.out, mixed, {}), local.y);
        return { y, state: { near: local.state, global: entries } };
      },
    };
    return decoding as Recurrent<LongformerAttentionParams, never>;
  }
}

export type LongformerAttentionsOptions = Omit<LongformerAttentionOptions, "window"> & {
  /** A window per layer; the last one holds for all further layers. */
  readonly windows: readonly number[];
};

/**
 * {@link longformerAttention} for each layer of a stack.
 *
 * @throws RangeError when `windows` is empty
 */
export function longformerAttentions(
  options: LongformerAttentionsOptions,
): (layer: number) => Mixer<LongformerAttentionParams> {
  const { windows, ...rest } = options;
  if (windows.length === 0) throw new RangeError("longformerAttentions: expected at least one window, got none");
  const made = new Map([...new Set(windows)].map((window) => [window, longformerAttention({ ...rest, window })]));
  return (layer) => made.get(windows[Math.min(layer, windows.length - 1)]!)!;
}

/** A window and the global tokens, the same for all queries: those of global tokens are computed separately. */
function neighbours(before: number, after: number, globals: readonly number[], causal: boolean): Pattern {
  const near = slidingWindow({ before, after });
  const seen = runsOf(globals);
  return {
    name: `${near.name} and global ${globals.join(", ")}`,
    keys: (query, length) =>
      uniteRuns(near.keys(query, length), clipRuns(seen, 0, causal ? Math.min(query + 1, length) : length)),
  };
}

/** Query i is at position `positions[i]` and sees all positions up to it. */
function upTo(positions: readonly number[]): Pattern {
  return { name: "causal, some queries", keys: (query, length) => [0, Math.min(positions[query]! + 1, length)] };
}

/** A window around each query, behind `slots` slots in front of the keys that every query sees. */
function neighboursBehind(slots: number, side: number): Pattern {
  const near = slidingWindow({ before: side, after: side });
  return {
    name: `${near.name} behind ${slots} slots`,
    keys: (query, length) =>
      uniteRuns(
        [0, slots],
        near.keys(query, length - slots).map((at) => at + slots),
      ),
  };
}

/** [B, H, T, D] with 0 where a position is padding. */
function withoutPadding(mixed: Tensor, { keyMask }: View): Tensor {
  if (keyMask === undefined) return mixed;
  return mul(mixed, cast(cast(expandDims(expandDims(keyMask, 1), 3), "bool"), mixed.dtype));
}

export type LongformerAttentionSettings = {
  readonly window?: number;
  readonly globals?: readonly number[];
  readonly maxGlobals?: number;
};

export const longformerEntry: MixerEntry<"longformer", LongformerAttentionSettings> = /* @__PURE__ */ mixerEntry({
  name: "longformer",
  title: "Longformer attention",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "a sliding window, and global tokens with projections of their own",
  formula: "y_t = softmax(q_t·k_S)·v_S, S = window(t) ∪ G; t ∈ G: softmax(q′_t·k′)·v′ over all",
  cost: "O(n·(w + g)·d) time, O(n·d) memory",
  exponent: 1,
  directions: ["bidirectional", "causal"],
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      window: positionCount().default(256).describe("half of it on each side; all before the query in the causal form"),
      globals: z.array(positionCount(0)).default([0]).describe("positions that see all and that all see"),
      maxGlobals: positionCount()
        .default(defaults.maxGlobals)
        .describe("how many tokens of a row can be global where the input says which (bidirectional only)"),
    }),
  make: (settings, context) => longformerAttention({ ...context, ...settings }),
});
