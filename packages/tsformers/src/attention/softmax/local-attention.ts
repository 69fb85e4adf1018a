import {
  add,
  and,
  type Concrete,
  cast,
  div,
  equal,
  expandDims,
  full,
  greaterEqual,
  iota,
  matmul,
  max,
  mod,
  mul,
  reshape,
  softmax,
  splitKey,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { positionCount } from "../../schema/count.ts";
import { attend } from "../core/executor.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { hidden } from "../core/query-block.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import type { Pattern } from "../patterns/pattern.ts";
import type { AttentionParams } from "./attention.ts";

export type LocalAttentionOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  /** Tokens in a chunk. Default: 128. */
  readonly chunk?: number;
  /**
   * Lets the first chunk look at the last one of a sequence that is filled up to a multiple of so many tokens, as Hugging Face's does
   * where it looks both ways. Default: no chunk comes before the first.
   */
  readonly wraps?: number;
};

/** Decode state: keys, values [B, H, 2·chunk, D] and real flags [B, 2·chunk] of the latest positions; p is in slot p mod 2·chunk. */
export type LocalAttentionState = { key: Tensor; value: Tensor; real: Tensor };

const defaults = { chunk: 128 };

/**
 * Local attention in chunks: a query sees its own chunk and the one before, and nothing after itself when causal.
 *
 * `S_i = {j : ⌊j/chunk⌋ ∈ {⌊i/chunk⌋ − 1, ⌊i/chunk⌋}}`, j ≤ i when causal. The causal form is softmax attention over the
 * pattern `local-1d`, but decodes with the last two chunks instead of all keys and values.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·T·chunk·D) time, O(B·T·C) memory; decoding O(B·H·chunk·D) time and memory, independent of the position
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", arXiv:2001.04451: the local layers of its
 *   authors' code
 */
export function localAttention(options: LocalAttentionOptions): Mixer<AttentionParams> {
  const { heads, causal, chunk = defaults.chunk, dropoutRate = 0 } = options;
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("local attention", options);
  const scale = 1 / Math.sqrt(headWidth);
  const pattern = causal || options.wraps === undefined ? ownAndBefore(chunk, causal) : inACircle(chunk, options.wraps);
  const look = (params: AttentionParams, x: Tensor, { rotate }: View) => {
    const [q, k, v] = [params.query, params.key, params.value].map((own) => toHeads(own, x)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    return { q: rotate?.query(q) ?? q, key: rotate?.key(k) ?? k, value: rotate?.value?.(v) ?? v };
  };

  const recurrent: Recurrent<AttentionParams, LocalAttentionState> = {
    start: (batch) => ({
      key: full([batch, heads, 2 * chunk, headWidth], 0),
      value: full([batch, heads, 2 * chunk, headWidth], 0),
      real: full([batch, 2 * chunk], 0, "int32"),
    }),
    step: (params, x, state, { position, view }) => {
      const { q, key, value } = look(params, x, view);
      const place = iota(2 * chunk);
      const here = equal(place, mod(position, 2 * chunk));
      const put = (into: Tensor, one: Tensor): Tensor =>
        where(reshape(here, [1, 1, -1, 1]), cast(one, into.dtype), into);
      const mask = maskAt(view.keyMask, position);
      const next = {
        key: put(state.key, key),
        value: put(state.value, value),
        real: where(here, mask === undefined ? 1 : cast(mask, "int32"), state.real),
      };
      const at = sub(position, mod(add(sub(position, place), 2 * chunk), 2 * chunk));
      const first = mul(sub(div(position, chunk), 1), chunk);
      const inReach = and(greaterEqual(at, first), greaterEqual(at, 0));
      const seen = expandDims(expandDims(and(equal(next.real, 1), inReach), 1), 1);
      const raw = cast(matmul(q, cast(next.key, q.dtype), { transposeB: true, scale }), "float32");
      const score = view.scores?.({ query: reshape(position, [1]), key: at });
      const logits = score?.logits(raw, { query: q, key: next.key, scale }) ?? raw;
      const sighted = max(cast(seen, "float32"), { axes: -1, keepDims: true });
      const weights = cast(mul(softmax(add(logits, where(seen, 0, hidden))), sighted), q.dtype);
      const product = matmul(weights, cast(next.value, q.dtype));
      const mixed = score?.values === undefined ? product : add(product, score.values(weights));
      return { y: fromHeads(params.out, mixed, evaluation), state: next };
    },
  };

  return {
    name: "local attention",
    sees: causal ? "earlier" : "all",
    init: (key): Concrete<AttentionParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      return { query: initHeads(q!), key: initHeads(k!), value: initHeads(v!), out: initOut(o!) };
    },
    apply: (params, input, context) => {
      oneSequence("local attention", input);
      const view = { ...input.view, pattern };
      const { q, ...entries } = look(params, input.x, view);
      const { mixed, map } = attend(q, entries, { view, scale, dropoutRate, context });
      return { y: fromHeads(params.out, mixed, context), map };
    },
    ...(causal && { recurrent: recurrent as unknown as Recurrent<AttentionParams, never> }),
  };
}

function ownAndBefore(chunk: number, causal: boolean): Pattern {
  return {
    name: `own chunk of ${chunk} and the one before`,
    keys: (query, length) => {
      const first = query - (query % chunk);
      return [Math.max(0, first - chunk), Math.min(length, causal ? query + 1 : first + chunk)];
    },
  };
}

/** {@link ownAndBefore} where what comes before the first chunk is the last one. */
function inACircle(chunk: number, multiple: number): Pattern {
  const plain = ownAndBefore(chunk, false);
  return {
    name: `${plain.name} in a circle of a multiple of ${multiple}`,
    keys: (query, length) => {
      const last = Math.ceil(length / multiple) * multiple - chunk;
      const own = plain.keys(query, length);
      if (query >= chunk || last >= length) return own;
      return last <= chunk ? [0, length] : [...own, last, length];
    },
  };
}

export type LocalAttentionSettings = { readonly chunk?: number };

export const localEntry: MixerEntry<"local", LocalAttentionSettings> = /* @__PURE__ */ mixerEntry({
  name: "local",
  title: "Local attention in chunks",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer: The Efficient Transformer, arXiv:2001.04451",
  summary: "softmax attention within the own chunk and the one before",
  formula: "S_i = {j : ⌊j/c⌋ ∈ {⌊i/c⌋ − 1, ⌊i/c⌋}}",
  cost: "O(n·c·d) time, O(n·d) memory",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  decodeState: "stays the same",
  options: () => z.strictObject({ chunk: positionCount().default(defaults.chunk).describe("tokens in a chunk") }),
  make: (settings, context) => localAttention({ ...context, ...settings }),
});
