import { div, mul, type Tensor, tanh } from "@tsformers/engine";
import type { Head } from "./head.ts";

/**
 * Keeps values within ±cap, and small ones as they are: `cap·tanh(x/cap)`.
 *
 * @source Bello et al. 2016, "Neural Combinatorial Optimization with Reinforcement Learning", arXiv:1611.09940; of attention logits
 *   and outputs: Gemma Team 2024, "Gemma 2", §2, arXiv:2408.00118
 */
export function softCap(x: Tensor, cap: number): Tensor {
  return mul(tanh(div(x, cap)), cap);
}

/** A head whose logits are capped by {@link softCap}. */
export function cappedHead<Params>(head: Head<Params>, cap: number): Head<Params> {
  return { init: (key) => head.init(key), apply: (params, x, tokens) => softCap(head.apply(params, x, tokens), cap) };
}
