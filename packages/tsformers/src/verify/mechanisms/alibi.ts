import { constant, fromNumbers, ndarray } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { causal, fullPattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { alibiSlopes, alibi as scores } from "../../position/alibi.ts";

const heads = z.int().positive();
const slopes = z.strictObject({ heads });
const attention = z.strictObject({ heads, causal: z.boolean() });

/** ALiBi: the slopes alone, or attention of q [B, H, T, D] over k and v [B, H, S, D], where queries are the last T of S positions. */
export const alibi: Mechanism = {
  run({ q, k, v }, given) {
    if (q === undefined) return { out: constant(ndarray(alibiSlopes(slopes.parse(given).heads))) };
    const options = attention.parse(given);
    const [queries, keys] = [q.shape[2]!, k!.shape[2]!];
    const view = makeView({
      pattern: options.causal ? causal : fullPattern,
      queries,
      keys,
      scores: (positions) => scores(options.heads).prepare({}, positions),
      ...(queries !== keys && { offset: constant(fromNumbers([keys - queries], [], "int32")) }),
    });
    const scale = 1 / Math.sqrt(q.shape[3]!);
    const { mixed, map } = attend(q, { key: k!, value: v! }, { view, scale, context: evaluation });
    return { out: mixed, probs: map().weights };
  },
};
