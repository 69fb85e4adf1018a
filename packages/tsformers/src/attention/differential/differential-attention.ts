import { type Concrete, concat, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { KeyValueCache, Recurrent, Score, SoftmaxMixer, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { type Initial, normalInitial, onesInitial } from "../../nn/initial.ts";
import { linear } from "../../nn/linear.ts";
import { headWidthOf, requireCounts, requireRate } from "../../nn/sizes.ts";
import { widthCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { cacheDecoding, rotated, withOwn } from "../core/cached-entries.ts";
import { attend } from "../core/executor.ts";
import { makeView } from "../core/view.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { causal } from "../patterns/pattern.ts";
import { type AttentionParams, joinHeads, splitHeads } from "../softmax/attention.ts";
import {
  adjacentPairs,
  difference,
  type HeadPairs,
  initialLambda,
  type LambdaParams,
  lambdaOf,
  normOfHeads,
  pairsOfHalves,
} from "./differences.ts";

export type DifferentialAttentionParams = Pick<AttentionParams, "query" | "key" | "value" | "out"> & {
  lambda: LambdaParams;
  /** Of the norm of the heads, [2·D]. */
  gain?: Tensor;
};

export type DifferentialAttentionOptions = {
  readonly modelWidth: number;
  /** H, softmax maps; two of them make a differential head. */
  readonly heads: number;
  /** K, heads of keys, each shared by heads / keyValueHeads maps; two of them share a value. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** D, width of a query; values have 2·D. Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Which layer of the stack it is for, from 0: λ₀ is 0.2 in the first, and near 0.8 in deep ones. Default: 0. */
  readonly layer?: number;
  /** Which maps make a head. Default: {@link adjacentPairs}. */
  readonly pairs?: HeadPairs;
  /** Whether the norm of the heads has a gain. Default: true. */
  readonly gain?: boolean;
  readonly epsilon?: number;
  readonly bias?: boolean;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

/**
 * Differential attention: a head is the difference of two softmax maps, so that what both of them give to irrelevant keys cancels out.
 *
 * `head = (1 − λ₀)·rms((softmax(q₁·k₁ᵀ/√D) − λ·softmax(q₂·k₂ᵀ/√D))·v)` over the 2·D features of v;
 * `λ = exp(a₁·b₁) − exp(a₂·b₂) + λ₀`, vectors a and b [D] being the layer's, and `λ₀ = 0.8 − 0.6·exp(−0.3·layer)`.
 *
 * The attention map has the H softmaxes before their differences.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   that of softmax attention with H heads whose values are twice as wide; as many parameters, but for λ and the gain
 * @source Ye et al. 2024, "Differential Transformer", §2, arXiv:2410.05258
 * @differs `heads` counts softmax maps, as DiffLlama does, the paper pairs of them. Outputs are subtracted instead of maps, which is the same
 */
export function differentialAttention(
  options: DifferentialAttentionOptions,
): SoftmaxMixer<DifferentialAttentionParams> {
  const { modelWidth, heads, keyValueHeads = heads, layer = 0, pairs = adjacentPairs, epsilon = 1e-5 } = options;
  const { bias = false, dropoutRate = 0, initial = normalInitial() } = options;
  const headWidth = headWidthOf("differential", options);
  requireCounts("differential", { keyValueHeads });
  requireRate("differential", dropoutRate);
  requirePairs(heads, keyValueHeads);
  const toQuery = linear(modelWidth, heads * headWidth, { bias, initial });
  const toKeyOrValue = linear(modelWidth, keyValueHeads * headWidth, { bias, initial });
  const toOut = linear(heads * headWidth, modelWidth, { bias, initial });
  const start = initialLambda(layer);
  const keysAndValues = (
    params: DifferentialAttentionParams,
    source: Tensor,
    view: Pick<View, "rotate">,
  ): KeyValueCache => {
    const key = splitHeads(toKeyOrValue.apply(params.key, source), keyValueHeads);
    const value = splitHeads(toKeyOrValue.apply(params.value, source), keyValueHeads);
    return rotated({ key, value }, view);
  };
  const mixer: SoftmaxMixer<DifferentialAttentionParams> = {
    name: "differential attention",
    sees: "pattern",
    keysAndValues,
    cacheShape: [keyValueHeads, headWidth],
    init: (key): Concrete<DifferentialAttentionParams> => {
      const [q, k, v, o, l] = splitKey(key, 5);
      const [q1, k1, q2, k2] = splitKey(l!, 4).map((own) => normalInitial(0.1)(own, [headWidth]));
      return {
        query: toQuery.init(q!),
        key: toKeyOrValue.init(k!),
        value: toKeyOrValue.init(v!),
        out: toOut.init(o!),
        lambda: { q1: q1!, k1: k1!, q2: q2!, k2: k2! },
        ...((options.gain ?? true) && { gain: onesInitial(key, [2 * headWidth]) }),
      };
    },
    apply: (params, { x, cross, view, state, place }, context) => {
      const query = splitHeads(toQuery.apply(params.query, x), heads);
      const own = cross ?? keysAndValues(params, x, view);
      const entries = withOwn(state?.decode as KeyValueCache | undefined, own, place);
      const wide = concat(pairs.split(entries.value), -1);
      const { mixed, map } = attend(
        view.rotate?.query(query) ?? query,
        { key: entries.key, value: pairs.join(wide, wide) },
        { view: forWideValues(view), scale: 1 / Math.sqrt(headWidth), dropoutRate, context },
      );
      const head = normOfHeads(difference(mixed, lambdaOf(params.lambda, start), pairs), params.gain, start, epsilon);
      const y = dropout(toOut.apply(params.out, joinHeads(head)), dropoutRate, context, "out");
      return { y, map, ...present({ state: place === undefined ? state : { ...state, decode: entries } }) };
    },
  };
  return { ...mixer, recurrent: cacheDecoding(mixer) as Recurrent<DifferentialAttentionParams, never> };
}

/** The view in which what scores add to values of width D is added to both halves of a value. */
function forWideValues(view: View): View {
  const { scores, prepared = new Map<unknown, Score>() } = view;
  if (scores === undefined) return view;
  const wide = ({ values, ...score }: Score): Score => {
    const twice = (weights: Tensor): Tensor => {
      const added = values!(weights);
      return concat([added, added], -1);
    };
    return values === undefined ? score : { ...score, values: twice };
  };
  return {
    ...view,
    scores: (positions) => wide(scores(positions)),
    prepared: new Map([...prepared].map(([block, score]) => [block, wide(score)])),
  };
}

/** @throws RangeError where heads or heads of keys do not go into pairs, or keys cannot be shared */
function requirePairs(heads: number, keyValueHeads: number): void {
  if (heads % 2 === 0 && keyValueHeads % 2 === 0 && heads % keyValueHeads === 0) return;
  throw new RangeError(
    `differential: heads are taken two by two and share keys evenly: expected an even number, and keyValueHeads an even divisor of it, got heads ${heads} and keyValueHeads ${keyValueHeads}`,
  );
}

export type DifferentialSettings = { readonly keyValueHeads?: number };

type Options = {
  readonly pairs: "adjacent" | "halves";
  readonly scale: number;
  readonly lambda_init: number;
  readonly head_norm: "rms" | null;
  readonly norm_eps: number | null;
};

export const differentialEntry: MixerEntry<"differential", DifferentialSettings> = /* @__PURE__ */ mixerEntry({
  name: "differential",
  title: "Differential attention",
  year: 2024,
  paper: "Ye et al. 2024, Differential Transformer, arXiv:2410.05258",
  summary: "heads are differences of two softmax maps, in which attention to irrelevant keys cancels out",
  formula: "y_t = (1 − λ₀)·rms((softmax(q₁·k₁/√D) − λ·softmax(q₂·k₂/√D))·v)",
  cost: "O(P·d) time for the P pairs that the pattern shows, n² when it is full; O(n·d) memory",
  exponent: 2,
  directions: ["causal", "bidirectional"],
  decodeState: "grows",
  options: () =>
    z.strictObject({
      keyValueHeads: widthCount()
        .optional()
        .describe("heads of keys, an even number, each shared by several maps. Default: as many as maps"),
    }),
  make: (settings, context) => differentialAttention({ ...context, ...present(settings) }),
  proof: {
    fixture: "differential_attention",
    run: ({ q, k, v, norm_weight, ...vectors }, given) => {
      const { pairs: named, scale, lambda_init: start, head_norm, norm_eps } = given as Options;
      const pairs = named === "halves" ? pairsOfHalves : adjacentPairs;
      const [queries, keys] = [q!.shape[2]!, k!.shape[2]!];
      const view = makeView({ pattern: causal, queries, keys });
      const entries = { key: k!, value: pairs.join(v!, v!) };
      const { mixed, map } = attend(q!, entries, { view, scale, context: evaluation });
      const of = (name: string): Tensor => vectors[`lambda_${name}`]!;
      const lambda = lambdaOf({ q1: of("q1"), k1: of("k1"), q2: of("q2"), k2: of("k2") }, start);
      const head = difference(mixed, lambda, pairs);
      const out = head_norm === null ? head : normOfHeads(head, norm_weight, start, norm_eps!);
      return { out, lambda, weights: difference(map().weights, lambda, pairs) };
    },
  },
});
