import { cast, constant, reshape } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView, type ViewOptions } from "../../attention/core/view.ts";
import { causal, denseMask } from "../../attention/patterns/pattern.ts";
import { windowWithSinks } from "../../attention/patterns/sinks.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { rotary } from "../../position/rotary.ts";
import { streamingRotary } from "../../position/streaming-rotary.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  causal: z.literal(true),
  scale: z.number().positive(),
  window: z.int().positive().nullable(),
  sink_tokens: z.int().nonnegative(),
  sink_logit: z.boolean(),
  positions: z.enum(["cache", "absolute"]).nullable(),
  rope_base: z.number().positive().nullable(),
});

/** Attention over a window and sinks, rotated by place in the text or in the cache, and beside a sink logit. */
export const attentionSinks: Mechanism = {
  run({ q, k, v, sink_logits: sink }, given) {
    const { scale, window, sink_tokens: sinks, positions, rope_base } = options.parse(given);
    const [, , length, headWidth] = q!.shape as [number, number, number, number];
    const pattern = window === null ? causal : windowWithSinks({ sinks, before: window - 1 });
    const own = { headWidth, sinks, before: (window ?? length) - 1, base: rope_base ?? 10_000 };
    const view = makeView({ pattern, queries: length, keys: length, ...schemeOf(positions, own) });
    const key = view.rotate?.key(k!) ?? k!;
    const of = { view, scale, context: evaluation, ...present({ sink }) };
    const { mixed, map } = attend(view.rotate?.query(q!) ?? q!, { key, value: v! }, of);
    const mask = reshape(constant(denseMask(pattern, length)), [length, length]);
    return { out: mixed, probs: map().weights, mask: cast(mask, "int32") };
  },
};

function schemeOf(
  positions: "cache" | "absolute" | null,
  own: Parameters<typeof streamingRotary>[0],
): Pick<ViewOptions, "rotation" | "scores"> {
  if (positions === null) return {};
  if (positions === "absolute") return { rotation: rotary(own.headWidth, own) };
  const { rotation, scores } = streamingRotary(own);
  return { rotation, scores: (at) => scores.prepare({}, at) };
}
