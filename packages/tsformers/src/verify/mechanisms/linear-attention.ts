import { constant, convert } from "@tsformers/engine";
import * as z from "zod";
import { plus } from "../../attention/kernel/denominator.ts";
import { eluPlusOne, mapped } from "../../attention/kernel/feature-map.ts";
import { kernelAttention } from "../../attention/kernel/kernel-attention.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const options = z.strictObject({ causal: z.boolean(), eps: z.number().nonnegative() });

/** Linear Transformer: q [B, H, T, D], k [B, H, S, D], v [B, H, S, E] and optional key_mask [B, S]. */
export const linearAttention: Mechanism = {
  run({ q, k, v }, given, { key_mask: mask }) {
    const { causal, eps } = options.parse(given);
    const features = mapped(eluPlusOne, q!, k!);
    const { mixed } = kernelAttention(features, v!, {
      causal,
      denominator: plus(eps),
      ...(mask !== undefined && { keyMask: constant(convert(mask, "float32")) }),
    });
    return { out: mixed };
  },
};
