import { abs, add, constant, expandDims, full, mul, reshape, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { fromMemory, gated, unit } from "../../memory/knn-memory.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({ k: z.int().positive(), window: z.int().positive() });

/**
 * Memorizing Transformer: q, k, v [B, H, T, D], mem_k, mem_v [B, H, E, D], scale, gate_bias [H] and optional bias [H, T, T] of the local
 * logits.
 */
export const memorizing: Mechanism = {
  run({ q, k, v, mem_k, mem_v, scale, gate_bias, bias }, given) {
    const { k: count, window } = options.parse(given);
    const [batch, heads, length] = q!.shape as [number, number, number];
    const query = mul(unit(q!), reshape(abs(scale!), [heads, 1, 1]));
    const biased = (own: Tensor) => () => ({ logits: (logits: Tensor) => add(logits, expandDims(own, 0)) });
    const view = makeView({
      pattern: slidingWindow({ before: window - 1, after: 0 }),
      queries: length,
      keys: length,
      queriesPerBlock: length,
      ...present({ scores: bias && biased(bias) }),
    });
    const near = attend(query, { key: unit(k!), value: v! }, { view, scale: 1, context: evaluation });
    const seen = constant(full([batch, mem_k!.shape[2]!], 1, "bool"));
    const far = fromMemory(query, { keys: unit(mem_k!), values: mem_v! }, seen, count);
    return {
      out: gated(gate_bias!, near.mixed, far),
      local: near.mixed,
      external: far.mixed,
      neighbours: far.places,
      neighbour_weights: far.weights,
    };
  },
};
