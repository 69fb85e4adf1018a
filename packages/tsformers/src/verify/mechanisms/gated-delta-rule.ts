import { broadcastTo, expandDims, mul, reshape, sigmoid, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { unitLength } from "../../attention/recurrent/delta-net.ts";
import { logDecays } from "../../attention/recurrent/gated-delta-net.ts";
import { linearRecurrence } from "../../attention/recurrent/linear-recurrence.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  causal: z.literal(true),
  scale: z.number(),
  l2_normalise: z.array(z.enum(["q", "k"])),
  l2_eps: z.number().nonnegative(),
  beta_scale: z.number().positive().default(1),
  key_heads: z.int().positive().optional(),
  value_heads: z.int().positive().optional(),
});

/**
 * Gated delta rule: q, k [B, H', T, K], v [B, H, T, D], log_alpha and beta [B, H, T] or what gates are made from: a, b [B, H, T], A_log and
 * dt_bias [H]. H/H' heads of values share queries and keys.
 */
export const gatedDeltaRule: Mechanism = {
  run({ q, k, v, log_alpha, beta: share, a, b, A_log: logRate, dt_bias: stepBias, initial_state: state }, given) {
    const { scale, l2_normalise: units, l2_eps: epsilon, beta_scale: most } = options.parse(given);
    const address = (name: "q" | "k", x: Tensor) =>
      repeated(units.includes(name) ? unitLength(x, epsilon) : x, v!.shape[1]!);
    const beta = share ?? (b && mul(sigmoid(b), most));
    const logDecay = log_alpha ?? (a && logRate && stepBias && logDecays(a, { logRate, stepBias }));
    if (beta === undefined || logDecay === undefined) {
      throw new RangeError("gated_delta_rule: needs log_alpha or a, A_log and dt_bias, and beta or b");
    }
    const input = { q: mul(address("q", q!), scale), k: address("k", k!), v: v!, beta, logDecay };
    const { mixed, state: last } = linearRecurrence(input, { chunk: 8, ...present({ state }) });
    return { out: mixed, final_state: last, log_alpha_used: logDecay, beta_used: beta };
  },
};

/** [B, H', T, K] → [B, H, T, K], each head H/H' times. */
function repeated(x: Tensor, heads: number): Tensor {
  const [batch, own, length, width] = x.shape as [number, number, number, number];
  if (own === heads) return x;
  return reshape(broadcastTo(expandDims(x, 2), [batch, own, heads / own, length, width]), [
    batch,
    heads,
    length,
    width,
  ]);
}
