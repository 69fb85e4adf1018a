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
import { ofHeads, spreadFormula } from "../attention/core/by-distance.ts";
import { hidden } from "../attention/core/query-block.ts";
import { perHead } from "../attention/patterns/combine.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { span } from "../attention/patterns/span.ts";
import type { ScoreMod } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { productsByDistance } from "./shaw.ts";

export type AdaptiveSpanParams = {
  /** How far each head looks, as a share of the most: z/S, [H]. */
  span: Tensor;
  /** Keys for distances S, S − 1, …, 1 back, the same for all heads, [S, D]. */
  keys?: Tensor;
};

/** How the soft end of a span is computed. */
export type SpanOptions = {
  /** S: the farthest that a head may ever look back. */
  readonly maxSpan: number;
  /** R: over how many positions weights fade; 32 unless told. */
  readonly ramp?: number;
  /** What the position before the query counts as: 0 unless told, as in the authors' code; the paper's distance is 1. */
  readonly nearest?: 0 | 1;
};

export type AdaptiveSpanOptions = SpanOptions & {
  readonly heads: number;
  /** The share of `maxSpan` that heads start with; 0 unless told: they see what fades alone. */
  readonly startShare?: number;
  /** The width of a head: gives distances keys of their own, as the paper does. None unless given. */
  readonly keyWidth?: number;
  readonly initial?: Initial;
  /** Weight of {@link spanPenalty}; 2e-6 unless told. */
  readonly penalty?: number;
};

/**
 * Each head learns how far back it looks: weights beyond its span fade to nothing, and are never computed once no head reaches
 * them ({@link spanPattern}).
 *
 * `a_ts = m(x_ts)·exp(logit_ts) / Σ_r m(x_tr)·exp(logit_tr)`, with `m(x) = clip((R + z − x)/R, 0, 1)`, x counted back from the position before
 * the query, `z = S·share_h`. As a change of logits: `logit + ln m`.
 *
 * Training adds {@link spanPenalty} to its loss and does {@link clampSpans} after each update.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(H·T·(T + S)) time beside the product; H parameters a layer, and S·D with keys for distances
 * @source Sukhbaatar et al. 2019, "Adaptive Attention Span in Transformers", §3, arXiv:1905.07799
 * @differs where the pattern shows a query itself, it always sees itself; the paper's pattern does not
 *   (`spanPattern(…, { self: false })`). The authors' code divides by the sum plus 1e-8 of the unmasked softmax: the same to 1e-8
 *   of what the span leaves
 */
export function adaptiveSpan(options: AdaptiveSpanOptions): ScoreMod<AdaptiveSpanParams> {
  const { heads, maxSpan, startShare = 0, keyWidth, initial = normalInitial() } = options;
  return {
    init: (key): Concrete<AdaptiveSpanParams> => ({
      span: fromNumbers(new Array<number>(heads).fill(startShare), [heads]),
      ...(keyWidth === undefined ? {} : { keys: initial(key, [maxSpan, keyWidth]) }),
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
  };
}

/**
 * `clip((R + z − x)/R, 0, 1)`, with x counted back from the position before the query.
 *
 * @shape distances key − query, float32, and spans z → what they broadcast to
 */
export function softMask(distance: Tensor, z: Tensor, { ramp = 32, nearest = 0 }: SpanOptions): Tensor {
  const x = add(neg(distance), nearest - 1);
  return minimum(maximum(div(sub(add(z, ramp), x), ramp), 0), 1);
}

/** What a soft mask adds to logits: its logarithm, and where it is zero what hides. */
export function logMask(mask: Tensor): Tensor {
  return where(greater(mask, 0), log(maximum(mask, 1e-30)), hidden);
}

/**
 * What spans cost, to be added to the training loss: the sum over layers of the mean span, `weight·S·Σ_layers mean_h(share)`.
 *
 * @shape  shares [H] of each layer → []
 * @differs as the authors' code, which takes the mean over heads where the paper divides by all heads of the model
 */
export function spanPenalty(layers: readonly { readonly span: Tensor }[], maxSpan: number, weight = 2e-6): Tensor {
  return layers.map(({ span }) => mul(mean(span), maxSpan * weight)).reduce((a, b) => add(a, b));
}

/** Shares put back between 0 and 1, as after each update they must be. */
export function clampSpans<Layers extends readonly AdaptiveSpanParams[]>(layers: Layers): Layers {
  return layers.map((own) => ({ ...own, span: minimum(maximum(own.span, 0), 1) })) as unknown as Layers;
}

/** Spans are widened to a multiple of this, so that a pattern stays the same, and compiled, while spans change a little. */
const spanGrain = 64;

/**
 * What a layer needs to see at its present spans: as far back as any weight is left, rounded up to a multiple of 64. Compiled
 * with it, nothing farther is computed.
 *
 * @param options.self whether a query sees itself; it does unless told
 * @param options.byHead gives heads of different spans patterns of their own
 */
export function spanPattern(
  shares: NDArray,
  { maxSpan, ramp = 32, nearest = 0 }: SpanOptions,
  { self = true, byHead = false }: { readonly self?: boolean; readonly byHead?: boolean } = {},
): Pattern {
  const reaches = shares.toNumbers().map((share) => {
    // m is above 0 for x < R + z, and x = distance − 1 + nearest.
    const reach = Math.ceil(ramp + share * maxSpan) - nearest;
    return Math.min(Math.ceil(reach / spanGrain) * spanGrain, maxSpan);
  });
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
