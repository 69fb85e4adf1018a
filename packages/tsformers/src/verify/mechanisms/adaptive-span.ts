import { add, broadcastTo, cast, flip, iota, mean, mul, reshape, sub } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { adaptiveSpan, softMask, spanPenalty } from "../../position/adaptive-span.ts";
import { fading, spanShares } from "../../position/dynamic-span.ts";

const options = z.strictObject({
  max_span: z.int().positive(),
  ramp: z.number().positive(),
  x_offset: z.literal([0, 1]),
  dynamic: z.boolean(),
});

/**
 * Adaptive spans: q [B, H, T, D] over the S positions before each query, k and v [B, H, S + T, D], the shares z_param [H], optional
 * keys of distances rel [S, D], the nearest first; dynamic spans have x [B, T, C], v_span [H, C] and b_span [H] instead.
 */
export const adaptiveSpans: Mechanism = {
  run({ q, k, v, z_param: share, rel, x, v_span: weight, b_span: bias }, given) {
    const { max_span: maxSpan, ramp, x_offset: nearest, dynamic } = options.parse(given);
    const [batch, heads, queries, width] = q!.shape as [number, number, number, number];
    const keys = k!.shape[2]!;
    const pattern: Pattern = { name: "the S before", keys: (query) => [query, query + maxSpan] };
    const positions = { query: add(iota(queries), maxSpan), key: iota(keys) };
    const how = { maxSpan, ramp, nearest };
    const plain = { pattern, queries, keys, positions };
    const shares = dynamic
      ? spanShares(x!, { weight: weight!, bias: bias! })
      : broadcastTo(reshape(share!, [1, heads, 1, 1]), [batch, heads, queries, 1]);
    const scheme = adaptiveSpan({ heads, ...how });
    // The scheme stores keys by position: the farthest first.
    const params = { span: share!, ...(rel !== undefined && { keys: flip(rel, 0) }) };
    const view = dynamic
      ? fading(makeView(plain), mul(shares, maxSpan), how)
      : makeView({ ...plain, scores: (at) => scheme.prepare(params, at) });
    const { mixed } = attend(q!, { key: k!, value: v! }, { view, scale: 1 / Math.sqrt(width), context: evaluation });
    const before = reshape(sub(cast(iota(maxSpan), "float32"), maxSpan), [1, maxSpan]);
    return {
      out: mixed,
      soft_mask: softMask(before, mul(shares, maxSpan), how),
      span_loss: dynamic ? mul(mean(shares), maxSpan) : spanPenalty([{ span: share! }], maxSpan, 1),
    };
  },
};
