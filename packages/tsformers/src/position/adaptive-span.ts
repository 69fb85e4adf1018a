import {
  add,
  type Concrete,
  cast,
  div,
  fromNumbers,
  greater,
  log,
  maximum,
  mean,
  minimum,
  mul,
  type NDArray,
  neg,
  reshape,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import { ofHeads, spreadFormula } from "../attention/core/by-distance.ts";
import { hidden } from "../attention/core/query-block.ts";
import { perHead } from "../attention/patterns/combine.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { roundedReach, span } from "../attention/patterns/span.ts";
import type { ScoreMod } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { positionCount } from "../schema/count.ts";
import { perLayer } from "./per-layer.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";
import { productsByDistance } from "./shaw.ts";

export type AdaptiveSpanParams = {
  /** Span of each head as a share of the longest, z/S, [H]. */
  span: Tensor;
  /** Learned keys of the distances S, S − 1, …, 1, shared by all heads, [S, D]. */
  keys?: Tensor;
};

/** How the soft end of a span is computed. */
export type SpanOptions = {
  /** S: the longest span, in positions. */
  readonly maxSpan: number;
  /** R: number of positions over which weights fade out. Default: 32. */
  readonly ramp?: number;
  /** Distance of the position before the query. Default: 0, as in the authors' code; in the paper 1. */
  readonly nearest?: 0 | 1;
};

export type AdaptiveSpanOptions = SpanOptions & {
  readonly heads: number;
  /** The initial share of `maxSpan`. Default: 0: heads start with the fading part of the span only. */
  readonly startShare?: number;
  /** D, width of a head: adds learned keys for distances, as in the paper. Default: no such keys. */
  readonly keyWidth?: number;
  readonly initial?: Initial;
  /** Weight of {@link spanPenalty}. Default: 2e-6. */
  readonly penalty?: number;
};

const defaults = { ramp: 32, startShare: 0, penalty: 2e-6 };

/**
 * Each head learns how far back it looks: weights beyond its span fade to zero. Once no head reaches them, they need not be computed
 * at all ({@link spanPattern}).
 *
 * `a_ts = m(x_ts)·exp(logit_ts) / Σ_r m(x_tr)·exp(logit_tr)`, with `m(x) = clip((R + z − x)/R, 0, 1)`, `z = S·share_h` and x the distance
 * counted from the position before the query. As a change of logits: `logit + ln m`.
 *
 * Training adds {@link spanPenalty} to the loss and applies {@link clampSpans} after each update.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(H·T·(T + S)) time besides the product; H parameters a layer, and S·D with learned keys
 * @source Sukhbaatar et al. 2019, "Adaptive Attention Span in Transformers", §3, arXiv:1905.07799
 * @differs where the pattern shows a query itself, the query always sees itself; in the paper it does not
 *   (`spanPattern(…, { self: false })`). The authors' code divides by the sum plus 1e-8 of the unmasked softmax: equal up to 1e-8
 *   of the remaining weight
 */
export function adaptiveSpan(options: AdaptiveSpanOptions): ScoreMod<AdaptiveSpanParams> {
  const { heads, maxSpan, startShare = defaults.startShare, keyWidth, initial = normalInitial() } = options;
  return {
    init: (key): Concrete<AdaptiveSpanParams> => ({
      span: fromNumbers(new Array<number>(heads).fill(startShare), [heads]),
      ...(keyWidth !== undefined && { keys: initial(key, [maxSpan, keyWidth]) }),
    }),
    prepare: (params, positions) => {
      const share = cast(reshape(ofHeads(params.span, positions), [-1, 1, 1]), "float32");
      const fading = spreadFormula(positions, (distance) => {
        return logMask(softMask(distance, mul(share, maxSpan), options));
      });
      const { keys } = params;
      return {
        logits: (logits, { query, scale }) => {
          const faded = add(logits, fading);
          if (keys === undefined) return faded;
          return add(faded, cast(productsByDistance(query, keys, -maxSpan, { positions, scale }), logits.dtype));
        },
      };
    },
    penalty: (params) => ({ span: spanPenalty([params], maxSpan, options.penalty) }),
    project: (params) => clampSpans([params])[0]!,
    spans: ({ span }) => reachesOf(span, options),
  };
}

/** How many positions back each head has weights above 0: m > 0 for x < R + z, and x = distance − 1 + nearest. */
function reachesOf(shares: NDArray, { maxSpan, ramp = defaults.ramp, nearest = 0 }: SpanOptions): number[] {
  return shares.toNumbers().map((share) => Math.ceil(ramp + share * maxSpan) - nearest);
}

/**
 * Soft mask `clip((R + z − x)/R, 0, 1)`, x being the distance counted from the position before the query.
 *
 * @shape distances key − query, float32, and spans z → their broadcast shape
 */
export function softMask(distance: Tensor, z: Tensor, { ramp = defaults.ramp, nearest = 0 }: SpanOptions): Tensor {
  const x = add(neg(distance), nearest - 1);
  return minimum(maximum(div(sub(add(z, ramp), x), ramp), 0), 1);
}

/** What a soft mask adds to logits: its logarithm, and −1e30 where the mask is 0. */
export function logMask(mask: Tensor): Tensor {
  return where(greater(mask, 0), log(maximum(mask, 1e-30)), hidden);
}

/**
 * The cost of spans, to be added to the training loss: `weight·S·Σ_layers mean_h(share)`.
 *
 * @param weight Default: 2e-6
 *
 * @shape  shares [H] of each layer → scalar
 * @differs as in the authors' code, the mean is over the heads of a layer; the paper divides by all heads of the model
 */
export function spanPenalty(
  layers: readonly { readonly span: Tensor }[],
  maxSpan: number,
  weight: number = defaults.penalty,
): Tensor {
  return layers.map(({ span }) => mul(mean(span), maxSpan * weight)).reduce((a, b) => add(a, b));
}

/** Clamps shares to [0, 1], as needed after each update. */
export function clampSpans<Layers extends readonly AdaptiveSpanParams[]>(layers: Layers): Layers {
  return layers.map((own) => ({ ...own, span: minimum(maximum(own.span, 0), 1) })) as unknown as Layers;
}

/**
 * The pattern that a layer needs for its present spans: as far back as any weight is above 0, rounded up by {@link roundedReach}. When
 * it is compiled with the model, keys beyond it are not computed. Models whose spans are learned do it by themselves: `trimmed`.
 *
 * @param options.self whether a query sees itself. Default: true
 * @param options.byHead gives heads with different spans different patterns. Default: one pattern for all heads
 */
export function spanPattern(
  shares: NDArray,
  options: SpanOptions,
  { self = true, byHead = false }: { readonly self?: boolean; readonly byHead?: boolean } = {},
): Pattern {
  const reaches = reachesOf(shares, options).map(roundedReach);
  const known = new Map<number, Pattern>();
  const patternOf = (reach: number): Pattern => {
    const pattern = known.get(reach) ?? {
      name: `span ${reach}${self ? "" : " without itself"}`,
      keys: (query, length) => span(query - reach, query + (self ? 1 : 0), length),
    };
    known.set(reach, pattern);
    return pattern;
  };
  return byHead ? perHead(reaches.map(patternOf)) : patternOf(Math.max(...reaches));
}

export type AdaptiveSpanSettings = {
  readonly maxSpan?: number;
  readonly ramp?: number;
  readonly startShare?: number;
  readonly keys?: boolean;
  readonly penalty?: number;
};

export const adaptiveSpanEntry: PositionEntry<"adaptive-span", AdaptiveSpanSettings> = /* @__PURE__ */ positionEntry({
  name: "adaptive-span",
  title: "Adaptive spans",
  year: 2019,
  paper: "Sukhbaatar et al. 2019, Adaptive Attention Span in Transformers, arXiv:1905.07799",
  category: "scores",
  summary: "each head learns how far back it looks",
  formula: "a_ts ∝ m(x)·exp(q_t·(k_s + p_{t−s})/√D), m(x) = clip((R + z − x)/R, 0, 1), z = maxSpan·share_h",
  cost: "H + maxSpan·D parameters a layer; O(B·H·T·(T + S)·D) a layer",
  beyond: "defined: nothing beyond the spans is seen",
  directions: ["causal"],
  options: () =>
    z.strictObject({
      maxSpan: positionCount().optional().describe("the farthest a head may look back. Default: the training length"),
      ramp: z
        .number()
        .positive()
        .default(defaults.ramp)
        .describe("over how many positions weights fade at the end of a span"),
      startShare: z
        .number()
        .min(0)
        .max(1)
        .default(defaults.startShare)
        .describe("the share of the farthest that spans start with"),
      keys: z.boolean().default(true).describe("whether distances have keys of their own"),
      penalty: z
        .number()
        .nonnegative()
        .default(defaults.penalty)
        .describe("what a position of mean span costs in the loss of a layer"),
    }),
  make: ({ keys, ...settings }, { layers, length, modelWidth, heads }) => {
    const width = keys ? { keyWidth: modelWidth / heads } : {};
    const { maxSpan = length, ...rest } = settings;
    return { scores: perLayer(adaptiveSpan({ heads, maxSpan, ...rest, ...width }), layers) };
  },
});
