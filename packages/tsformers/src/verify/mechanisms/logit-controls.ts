import type { Tensor } from "@tsformers/engine";
import { ones } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { causal } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { rmsNorm, zeroCentredRmsNorm } from "../../nn/norm.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  causal: z.literal(true),
  heads: z.int().positive(),
  kv_heads: z.int().positive(),
  scale: z.number().positive(),
  qk_norm: z.enum(["rms", "rms_one_plus"]).nullable(),
  norm_eps: z.number().positive().nullable(),
  cap: z.number().positive().nullable(),
});

/** Causal attention with norms of queries and keys and a cap: q [B, H, T, D], k and v [B, K, T, ·]. */
export const logitControls: Mechanism = {
  run({ q, k, v, q_norm_weight, k_norm_weight }, given) {
    const { scale, qk_norm, norm_eps, cap } = options.parse(given);
    const width = q!.shape[3]!;
    const norm = (qk_norm === "rms_one_plus" ? zeroCentredRmsNorm : rmsNorm)(
      present({ epsilon: norm_eps ?? undefined }),
    );
    const normed = (x: Tensor, weight = ones([width])) => (qk_norm === null ? x : norm(width).apply({ weight }, x));
    const entries = { key: normed(k!, k_norm_weight), value: v! };
    const view = makeView({ pattern: causal, queries: q!.shape[2]!, keys: k!.shape[2]! });
    const of = { view, scale, context: evaluation, ...present({ cap: cap ?? undefined }) };
    const { mixed, map } = attend(normed(q!, q_norm_weight), entries, of);
    return { out: mixed, probs: map().weights };
  },
};
