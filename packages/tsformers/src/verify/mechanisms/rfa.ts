import { reshape } from "@tsformers/engine";
import * as z from "zod";
import { exactly } from "../../attention/kernel/denominator.ts";
import { mapped } from "../../attention/kernel/feature-map.ts";
import { kernelAttention } from "../../attention/kernel/kernel-attention.ts";
import { arcCosineKernel, gaussianKernel, rfaFeatures } from "../../attention/kernel/rfa.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  features: z.enum(["sincos", "arccos"]),
  mode: z.enum(["cross", "causal", "gated"]),
  norm_eps: z.number().nonnegative(),
});

/** RFA: q [B, H, T, D], k [B, H, S, D], v [B, H, S, E], W [H, M, D] and, for the gated mode, gate_logits [B, H, T]. */
export const rfa: Mechanism = {
  run({ q, k, v, W, gate_logits: gateLogits }, given) {
    const { features: kernel, mode, norm_eps } = options.parse(given);
    if ((mode === "gated") !== (gateLogits !== undefined)) {
      throw new RangeError(`rfa: mode ${mode} came ${gateLogits === undefined ? "without" : "with"} gate_logits`);
    }
    const map = rfaFeatures(W!, kernel === "sincos" ? gaussianKernel : arcCosineKernel, norm_eps);
    const features = mapped(map, q!, k!);
    const { mixed, weights } = kernelAttention(features, v!, {
      causal: mode !== "cross",
      denominator: exactly,
      ...present({ gateLogits }),
    });
    return { out: mixed, denominator: reshape(weights, weights.shape.slice(0, -1)), q_features: features.query };
  },
};
