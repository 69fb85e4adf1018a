import type { Tensor } from "@tsformers/engine";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";

/** Softmax attention over a pattern, through the executor: q, k, v [B, H, T, D], logits scaled by 1/√D. */
export function maskedAttention(inputs: Readonly<Record<string, Tensor>>, pattern: Pattern): Record<string, Tensor> {
  const { q, k, v } = inputs as { q: Tensor; k: Tensor; v: Tensor };
  const [, , queries, width] = q.shape as [number, number, number, number];
  const view = makeView({ pattern, queries, keys: k.shape[2]! });
  const { mixed } = attend(q, { key: k, value: v }, { view, scale: 1 / Math.sqrt(width), context: evaluation });
  return { out: mixed };
}
