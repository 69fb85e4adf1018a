import { constant, convert } from "@tsformers/engine";
import * as z from "zod";
import { balancedAttention, topMembers } from "../../attention/routing/routing-balanced.ts";
import { cosine, layerNormalised, nearness } from "../../attention/routing/routing-centroids.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  normalize: z.enum(["layernorm", "l2_key"]),
  score: z.enum(["dot", "cosine"]),
  window: z.int().positive(),
  causal: z.boolean(),
  scale: z.number(),
  self_value: z.number().nullable(),
  scatter_eps: z.number().nonnegative(),
});

/** Routing Transformer with fixed centroids: qk (shared), v [B, H, T, D], centroids [H, k, D] and optional key_mask [B, T]. */
export const routing: Mechanism = {
  run({ qk, v, centroids }, given, { key_mask: mask }) {
    const { normalize, score, window, causal, scale, self_value: self, scatter_eps } = options.parse(given);
    const lengths = normalize === "layernorm" ? layerNormalised : cosine;
    const { centroid } = score === "dot" ? layerNormalised : cosine;
    const q = lengths.query(qk!);
    const k = lengths.key === lengths.query ? q : lengths.key(qk!);
    const points = score === "dot" ? k : cosine.point(qk!);
    const keyMask = mask && constant(convert(mask, "float32"));
    const members = topMembers(nearness(points, centroid(centroids!)), window, keyMask);
    const { mixed, counts } = balancedAttention(q, k, v!, {
      queries: members,
      keys: members,
      causal,
      scale,
      countEpsilon: scatter_eps,
      context: evaluation,
      ...present({ selfLogit: self ?? undefined, keyMask }),
    });
    return { out: mixed, indices: members, counts };
  },
};
