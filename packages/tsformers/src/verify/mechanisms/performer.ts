import * as z from "zod";
import { exactly } from "../../attention/kernel/denominator.ts";
import {
  generalised,
  hyperbolic,
  positive,
  publishedStabilisers,
  type RandomFeatures,
  trigonometric,
  unstabilised,
} from "../../attention/kernel/favor-features.ts";
import { kernelAttention } from "../../attention/kernel/kernel-attention.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const options = z.strictObject({
  kernel: z.enum(["softmax", "hyperbolic", "trig", "relu"]),
  causal: z.boolean(),
  eps: z.number().nonnegative(),
  stab: z.enum(["max", "none"]),
  stab_stop_gradient: z.boolean(),
  normalize_data: z.boolean(),
});

/** Performer: q [B, H, T, D], k [B, H, S, D], v [B, H, S, E] and the projection [M, D]. */
export const performer: Mechanism = {
  run({ q, k, v, projection }, given) {
    const chosen = options.parse(given);
    const map = featuresOf(chosen).map(projection!);
    const features = { query: map.query(q!), key: map.key(k!) };
    const { mixed } = kernelAttention(features, v!, { causal: chosen.causal, denominator: exactly });
    return { out: mixed, q_features: features.query, k_features: features.key };
  },
};

function featuresOf({
  kernel,
  eps,
  stab,
  stab_stop_gradient,
  normalize_data,
}: z.output<typeof options>): RandomFeatures {
  const scale = normalize_data ? {} : { unscaled: true as const };
  if (kernel === "relu") return generalised({ epsilon: eps, ...scale });
  if (kernel === "trig") {
    if (eps !== 0 || stab !== "none") {
      throw new RangeError(`performer: trig has no eps and no stab, got eps ${eps} and stab ${stab}`);
    }
    return trigonometric(scale);
  }
  const stabilisers =
    stab === "none" ? { query: unstabilised, key: unstabilised } : publishedStabilisers(!stab_stop_gradient);
  return (kernel === "softmax" ? positive : hyperbolic)({ epsilon: eps, ...stabilisers, ...scale });
}
