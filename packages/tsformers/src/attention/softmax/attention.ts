import { type Concrete, mul, reshape, sigmoid, splitKey, type Tensor, transpose } from "@tsformers/engine";
import * as z from "zod";
import type { KeyValueCache, Recurrent, SoftmaxMixer, View } from "../../kinds/index.ts";
import { dropout } from "../../nn/dropout.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { type Norm, type NormParams, rmsNorm } from "../../nn/norm.ts";
import { headWidthOf, requireCounts, requireRate } from "../../nn/sizes.ts";
import { widthCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { cacheDecoding, rotated, withOwn } from "../core/cached-entries.ts";
import { attend } from "../core/executor.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";

export type AttentionParams = {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  out: LinearParams;
  queryNorm?: NormParams;
  keyNorm?: NormParams;
  /** [H] */
  sink?: Tensor;
  gate?: LinearParams;
};

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
  /** Of the features of each query and each key, before they are rotated; one gain for the queries of all heads, one for the keys. Default: none. */
  readonly qkNorm?: Norm;
  /** Logits stay within ± this: `cap·tanh(z/cap)`, before position schemes change them. Default: they are not capped. */
  readonly cap?: number;
  /** Initial values of a learned logit for each head that takes part in the softmax and has no value. Default: there is none. */
  readonly sink?: Initial;
  /** Whether what heads have mixed is multiplied by σ(x·W_g), feature by feature, before it is projected back. Default: no. */
  readonly gate?: boolean;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
  readonly outInitial?: Initial;
};

/**
 * Multi-head softmax attention: `softmax(q·kᵀ·scale + mask)·v`, heads concatenated, then projected back.
 *
 * With all that it may have, `q, k = rotate(norm(q)), rotate(norm(k))`; `z = cap·tanh(q·kᵀ·scale/cap) + bias`; `p_s = exp(z_s) / (Σ exp(z) + exp(sink))`;
 * `y = (p·v ∘ σ(x·W_g))·W_o`.
 *
 * Patterns and position schemes are part of the view; keys and values may come from another sequence (`cross`) or a cache.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·P·D) time for P visible pairs, T·S under the full pattern; memory: {@link attend}
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2, arXiv:1706.03762; grouped heads: Ainslie et al. 2023,
 *   arXiv:2305.13245; norms of queries and keys: Henry et al. 2020, arXiv:2010.04245, Dehghani et al. 2023, arXiv:2302.05442; cap:
 *   Gemma Team 2024, arXiv:2408.00118; sink: OpenAI 2025, "gpt-oss", arXiv:2508.10925; gate: Qiu et al. 2025, arXiv:2505.06708
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
  const toGate = options.gate ? linear(modelWidth, heads * headWidth, { bias, initial }) : undefined;
  const { project = same, cap, sink } = options;
  if (cap !== undefined && !(cap > 0)) throw new RangeError(`attention: cap must be above 0, got ${cap}`);
  const qkNorm = options.qkNorm?.(headWidth);
  const normed = (x: Tensor, params: NormParams | undefined): Tensor => qkNorm?.apply(params!, x) ?? x;
  const keysAndValues = (params: AttentionParams, source: Tensor, view: Pick<View, "rotate">): KeyValueCache => {
    const key = normed(splitHeads(project(toKeyOrValue.apply(params.key, source)), keyValueHeads), params.keyNorm);
    const value = splitHeads(project(toKeyOrValue.apply(params.value, source)), keyValueHeads);
    return rotated({ key, value }, view);
  };
  const mixer: SoftmaxMixer<AttentionParams> = {
    name: "softmax attention",
    sees: "pattern",
    keysAndValues,
    cacheShape: [keyValueHeads, headWidth],
    init: (key): Concrete<AttentionParams> => {
      const [q, k, v, o, s, g] = splitKey(key, 6);
      return {
        query: toQuery.init(q!),
        key: toKeyOrValue.init(k!),
        value: toKeyOrValue.init(v!),
        out: toOut.init(o!),
        ...present({
          queryNorm: qkNorm?.init(key),
          keyNorm: qkNorm?.init(key),
          sink: sink?.(s!, [heads]),
          gate: toGate?.init(g!),
        }),
      };
    },
    apply: (params, { x, cross, view, state, place }, context) => {
      const query = normed(splitHeads(project(toQuery.apply(params.query, x)), heads), params.queryNorm);
      const q = view.rotate?.query(query) ?? query;
      const own = cross ?? keysAndValues(params, x, view);
      const entries = withOwn(state?.decode as KeyValueCache | undefined, own, place);
      const { mixed, map } = attend(q, entries, {
        view,
        scale,
        dropoutRate,
        context,
        ...present({ cap, sink: params.sink }),
      });
      const joined = joinHeads(mixed);
      const gated = toGate === undefined ? joined : mul(joined, sigmoid(toGate.apply(params.gate!, x)));
      const y = dropout(toOut.apply(params.out, gated), dropoutRate, context, "out");
      return { y, map, ...present({ state: place === undefined ? state : { ...state, decode: entries } }) };
    },
  };
  return { ...mixer, recurrent: cacheDecoding(mixer) as Recurrent<AttentionParams, never> };
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

export type SoftmaxSettings = {
  readonly keyValueHeads?: number;
  readonly qkNorm?: boolean;
  readonly cap?: number;
  readonly sink?: boolean;
  readonly gate?: boolean;
};

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
      qkNorm: z.boolean().optional().describe("RMS norms of queries and keys, before they are rotated. Default: none"),
      cap: z.number().positive().optional().describe("logits stay within ± this, by cap·tanh(z/cap). Default: no cap"),
      sink: z.boolean().optional().describe("a learned logit for each head that has no value. Default: none"),
      gate: z.boolean().optional().describe("a gate of the input on what heads have mixed. Default: none"),
    }),
  make: ({ qkNorm, sink, ...settings }, context) =>
    attention({
      ...context,
      ...present(settings),
      ...(qkNorm && { qkNorm: rmsNorm() }),
      ...(sink && { sink: context.initial ?? normalInitial() }),
    }),
});
