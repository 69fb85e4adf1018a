import { div, mul } from "@tsformers/engine";
import * as z from "zod";
import { logSigmoid } from "../../attention/kernel/kernel-attention.ts";
import { linearRecurrence } from "../../attention/recurrent/linear-recurrence.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  causal: z.literal(true),
  scale: z.number(),
  gate: z.enum(["log_alpha", "logsigmoid"]),
  gate_divisor: z.number().positive().default(1),
});

/** GLA: q, k and log_alpha or gate_logits [B, H, T, K], v [B, H, T, D], initial_state [B, H, K, D]. */
export const gatedLinearAttention: Mechanism = {
  run({ q, k, v, log_alpha: logAlpha, gate_logits: logits, initial_state: state }, given) {
    const { scale, gate, gate_divisor: divisor } = options.parse(given);
    const logDecay = gate === "log_alpha" ? logAlpha : logits && div(logSigmoid(logits), divisor);
    if (logDecay === undefined) throw new RangeError(`gated_linear_attention: gate ${gate} came without its input`);
    const input = { q: mul(q!, scale), k: k!, v: v!, logDecay };
    const { mixed, state: last } = linearRecurrence(input, { chunk: 8, ...present({ state }) });
    return { out: mixed, final_state: last };
  },
};
