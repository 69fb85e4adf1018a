import {
  add,
  type Concrete,
  concat,
  expandDims,
  full as filled,
  iota,
  mul,
  reshape,
  scatterSet,
  splitKey,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import * as z from "zod";
import type { DecodePlace, KeyValueCache, Recurrent, SoftmaxMixer, View } from "../../kinds/index.ts";
import { dropout } from "../../nn/dropout.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { headWidthOf, requireCounts, requireRate } from "../../nn/sizes.ts";
import { widthCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";

export type AttentionParams = { query: LinearParams; key: LinearParams; value: LinearParams; out: LinearParams };

export type AttentionOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** K, heads of keys and values, each shared by heads / keyValueHeads query heads. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** D, width of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Factor of the logits. Default: 1/√headWidth. */
  readonly scale?: number;
  readonly bias?: boolean;
  readonly outBias?: boolean;
  /** Applied to the projected queries, keys and values; MPT clips them. Default: the identity. */
  readonly project?: (x: Tensor) => Tensor;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
  readonly outInitial?: Initial;
};

/**
 * Multi-head softmax attention: `softmax(q·kᵀ·scale + mask)·v`, heads concatenated, then projected back.
 *
 * Patterns and position schemes are part of the view; keys and values may come from another sequence (`cross`) or a cache.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·P·D) time for P visible pairs, T·S under the full pattern; memory: {@link attend}
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2, arXiv:1706.03762; grouped heads: Ainslie et al. 2023,
 *   arXiv:2305.13245
 */
export function attention(options: AttentionOptions): SoftmaxMixer<AttentionParams> {
  const { modelWidth, heads, keyValueHeads = heads, dropoutRate = 0, bias = true, initial = normalInitial() } = options;
  const headWidth = headWidthOf("attention", options);
  requireCounts("attention", { keyValueHeads });
  requireRate("attention", dropoutRate);
  if (heads % keyValueHeads !== 0) {
    throw new RangeError(
      `attention: heads must be a multiple of keyValueHeads, got heads ${heads} and keyValueHeads ${keyValueHeads}`,
    );
  }
  const scale = options.scale ?? 1 / Math.sqrt(headWidth);
  const toQuery = linear(modelWidth, heads * headWidth, { bias, initial });
  const toKeyOrValue = linear(modelWidth, keyValueHeads * headWidth, { bias, initial });
  const outBias = options.outBias ?? bias;
  const toOut = linear(heads * headWidth, modelWidth, { bias: outBias, initial: options.outInitial ?? initial });
  const project = options.project ?? same;
  const keysAndValues = (params: AttentionParams, source: Tensor, view: Pick<View, "rotate">): KeyValueCache => {
    const key = splitHeads(project(toKeyOrValue.apply(params.key, source)), keyValueHeads);
    const value = splitHeads(project(toKeyOrValue.apply(params.value, source)), keyValueHeads);
    return { key: view.rotate?.key(key) ?? key, value: view.rotate?.value?.(value) ?? value };
  };
  const mixer: SoftmaxMixer<AttentionParams> = {
    name: "softmax attention",
    sees: "pattern",
    keysAndValues,
    cacheShape: [keyValueHeads, headWidth],
    init: (key): Concrete<AttentionParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      return { query: toQuery.init(q!), key: toKeyOrValue.init(k!), value: toKeyOrValue.init(v!), out: toOut.init(o!) };
    },
    apply: (params, { x, cross, view, state, place }, context) => {
      const query = splitHeads(project(toQuery.apply(params.query, x)), heads);
      const q = view.rotate?.query(query) ?? query;
      const own = cross ?? keysAndValues(params, x, view);
      const entries = place === undefined ? own : withOwn(state?.decode as KeyValueCache | undefined, own, place);
      const { mixed, map } = attend(q, entries, { view, scale, dropoutRate, context });
      const y = dropout(toOut.apply(params.out, joinHeads(mixed)), dropoutRate, context, "out");
      return { y, map, ...present({ state: place === undefined ? state : { ...state, decode: entries } }) };
    },
  };
  return { ...mixer, recurrent: cacheDecoding(mixer) as Recurrent<AttentionParams, never> };
}

/** Decodes with a key/value cache of all earlier positions, under whatever causal pattern the view has. */
export function cacheDecoding<Params>(mixer: SoftmaxMixer<Params>): Recurrent<Params, KeyValueCache> {
  const [heads, width] = mixer.cacheShape;
  return {
    start: (batch, capacity) => {
      const shape = [batch, heads, capacity, width];
      return { key: filled(shape, 0), value: filled(shape, 0) };
    },
    step: (params, x, state, { position, view, slots }) => {
      const out = mixer.apply(params, { x, view, state: { decode: state }, place: { position, slots } }, {});
      return { y: out.y, state: out.state!.decode as KeyValueCache };
    },
  };
}

const same = (x: Tensor): Tensor => x;

/** [B, T, H·D] → [B, H, T, D] */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** [B, H, T, D] → [B, T, H·D] */
export function joinHeads(x: Tensor): Tensor {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * width]);
}

/** The keys and values of a pass: the cached ones and its own. */
function withOwn(
  entries: KeyValueCache | undefined,
  own: KeyValueCache,
  { position, slots }: DecodePlace,
): KeyValueCache {
  if (entries === undefined) return own;
  if (slots === undefined) return writeRows(entries, own, add(iota(own.key.shape[2]!), position));
  if (slots.rows !== undefined) return writeRows(entries, own, slots.rows);
  return { key: concat([entries.key, own.key], 2), value: concat([entries.value, own.value], 2) };
}

/** Writes new entries into given slots, with the cache seen as rows [B·K·L, D]. */
function writeRows(old: KeyValueCache, own: KeyValueCache, slots: Tensor): KeyValueCache {
  const [batch, heads, capacity, width] = old.key.shape as [number, number, number, number];
  const first = mul(iota(batch * heads), capacity);
  const rows = reshape(add(expandDims(first, 1), slots), [-1]);
  const write = (into: Tensor, entries: Tensor) =>
    reshape(scatterSet(reshape(into, [-1, width]), rows, reshape(entries, [-1, width])), [
      batch,
      heads,
      capacity,
      width,
    ]);
  return { key: write(old.key, own.key), value: write(old.value, own.value) };
}

export type SoftmaxSettings = { readonly keyValueHeads?: number };

export const softmaxEntry: MixerEntry<"softmax", SoftmaxSettings> = /* @__PURE__ */ mixerEntry({
  name: "softmax",
  title: "Softmax attention",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "softmax attention over what the pattern shows",
  formula: "y_t = softmax(q_t·k_S/√D)·v_S, S = pattern(t)",
  cost: "O(P·d) time for the P pairs that the pattern shows, n² when it is full; O(n·d) memory",
  exponent: 2,
  directions: ["causal", "bidirectional"],
  decodeState: "grows",
  options: () =>
    z.strictObject({
      keyValueHeads: widthCount()
        .optional()
        .describe("heads of keys and values, each shared by several query heads. Default: as many as query heads"),
    }),
  make: (settings, context) => attention({ ...context, ...present(settings) }),
});
