import {
  type Concrete,
  cast,
  concat,
  constant,
  equal,
  full as filled,
  fromNumbers,
  gather,
  iota,
  lessEqual,
  max,
  slice,
  splitKey,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { KeyValueCache, Mixer, Recurrent, View } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import type { LinearParams } from "../../nn/linear.ts";
import { positionCount } from "../../schema/count.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { ringDecoding, viewOfSlots, writeSlots } from "../core/ring.ts";
import { clipRuns, runsOf, uniteRuns } from "../core/runs.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { full, type Pattern, type Runs } from "../patterns/pattern.ts";
import { slidingWindow } from "../patterns/window.ts";
import { type AttentionParams, attention } from "./attention.ts";

export type LongformerAttentionOptions = HeadProjectionOptions & {
  /** w: w/2 neighbours on each side; causal: w positions before the query. */
  readonly window: number;
  /** Positions that see all, and that all see. */
  readonly globals: readonly number[];
  readonly causal: boolean;
};

export type LongformerAttentionParams = AttentionParams & {
  globalQuery: LinearParams;
  globalKey: LinearParams;
  globalValue: LinearParams;
};

/**
 * Longformer's attention: a window of neighbours and the global tokens under one softmax. The queries of global tokens use
 * separate projections of queries, keys and values, which are initialised like those of the window.
 *
 * `y_t = softmax(q_t·k_S)·v_S` with `S = window(t) ∪ G` for t ∉ G; `y_t = softmax(q′_t·k′)·v′` over all positions for t ∈ G.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(w + g)·C) time, O(B·T·C) memory; decoding keeps w + g positions, and all those before the last global one
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §3.1, arXiv:2004.05150
 * @throws RangeError when `window` is odd and not causal
 */
export function longformerAttention(options: LongformerAttentionOptions): Mixer<LongformerAttentionParams> {
  const { window, causal } = options;
  if (!causal && window % 2 !== 0) {
    throw new RangeError(`longformerAttention: expected an even window, half of it on each side, got ${window}`);
  }
  const near = attention(options);
  const heads = headProjections("longformerAttention", options);
  const scale = 1 / Math.sqrt(heads.headWidth);
  const globals = [...new Set(options.globals)].sort((a, b) => a - b);
  const pattern = neighbours(causal ? window : window / 2, causal ? 0 : window / 2, globals, causal);
  const keysAndValues = (params: LongformerAttentionParams, x: Tensor, view: View): KeyValueCache => {
    const key = heads.toHeads(params.globalKey, x);
    const value = heads.toHeads(params.globalValue, x);
    return { key: view.rotate?.key(key) ?? key, value: view.rotate?.value?.(value) ?? value };
  };
  return {
    name: "longformer",
    sees: causal ? "earlier" : "all",
    init: (key): Concrete<LongformerAttentionParams> => {
      const [own] = splitKey(key, 1);
      const params = near.init(own!);
      return { ...params, globalQuery: params.query, globalKey: params.key, globalValue: params.value };
    },
    apply: (params, input, context) => {
      oneSequence("longformerAttention", input);
      const { x, view } = input;
      const length = x.shape[1]!;
      const here = globals.filter((position) => position < length);
      const local = lookAgain(view, pattern);
      const query = heads.toHeads(params.query, x);
      const own = near.keysAndValues(params, x, view);
      const rest = {
        scale,
        context,
        ...(options.dropoutRate === undefined ? {} : { dropoutRate: options.dropoutRate }),
      };
      const mixed = attend(view.rotate?.query(query) ?? query, own, { ...rest, view: local });
      if (here.length === 0) return { y: heads.fromHeads(params.out, mixed.mixed, context), map: mixed.map };
      const indices = constant(fromNumbers(here, [here.length], "int32"));
      const asked = (x: Tensor): Tensor => heads.toHeads(params.globalQuery, x);
      // Rotation is prepared for all positions; without rotation, only the few global rows are projected.
      const turned =
        view.rotate === undefined ? asked(pickRows(x, here, 1)) : pickRows(view.rotate.query(asked(x)), here, 2);
      const whole = attend(turned, keysAndValues(params, x, view), {
        ...rest,
        context: within(context, "global"),
        view: lookAgain(view, causal ? upTo(here) : full, indices),
      });
      const joined = putRows(mixed.mixed, whole.mixed, here);
      const map = () => ({ ...mixed.map(), apart: { queries: here, weights: whole.map().weights } });
      return { y: heads.fromHeads(params.out, joined, context), map };
    },
    ...(causal ? { recurrent: recurrent() } : {}),
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

/** A view with the same padding and scores under another pattern, for all queries or those at some positions. */
function lookAgain(view: View, pattern: Pattern, at?: Tensor): View {
  const { keyMask, scores, keys, positions } = view;
  return makeView({
    pattern,
    queries: at?.shape[0] ?? view.queries,
    keys,
    ...(keyMask === undefined ? {} : { keyMask }),
    ...(scores === undefined ? {} : { scores }),
    ...(at === undefined ? {} : { positions: { query: gather(positions.query, at, -1), key: positions.key } }),
  });
}

/** Selects rows at positions along an axis. */
function pickRows(x: Tensor, positions: readonly number[], axis: number): Tensor {
  return concat(
    runPairs(runsOf(positions)).map(([from, to]) => slice(x, axis, from, to)),
    axis,
  );
}

/** Replaces the rows at ascending positions of [B, H, T, D] by `rows` [B, H, G, D]. */
function putRows(x: Tensor, rows: Tensor, positions: readonly number[]): Tensor {
  const parts: Tensor[] = [];
  let [at, taken] = [0, 0];
  for (const [from, to] of runPairs(runsOf(positions))) {
    if (from > at) parts.push(slice(x, 2, at, from));
    parts.push(slice(rows, 2, taken, taken + to - from));
    taken += to - from;
    at = to;
  }
  if (at < x.shape[2]!) parts.push(slice(x, 2, at));
  return concat(parts, 2);
}

function runPairs(runs: Runs): [from: number, to: number][] {
  return Array.from({ length: runs.length / 2 }, (_, i) => [runs[2 * i]!, runs[2 * i + 1]!]);
}

export type LongformerAttentionSettings = { readonly window?: number; readonly globals?: readonly number[] };

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
    }),
  make: (settings, context) => longformerAttention({ ...context, ...settings }),
});
