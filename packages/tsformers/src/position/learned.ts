import { gather, minimum, type Tensor } from "@tsformers/engine";
import type { PositionEmbedding } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";

/**
 * One learned vector per position.
 *
 * @shape  positions [T] or [B, T] int32 → [T, C] or [B, T, C]; weight [length, C]
 * @source Gehring et al. 2017, arXiv:1705.03122; used by GPT and BERT
 * @differs positions at or beyond `length` take the vector of the last position, so that a loss can be measured there; generation
 *   stops before them
 */
export function learned(
  length: number,
  width: number,
  initial: Initial = normalInitial(),
): PositionEmbedding<{ weight: Tensor }> {
  return {
    length,
    init: (key) => ({ weight: initial(key, [length, width]) }),
    apply: ({ weight }, positions) => gather(weight, minimum(positions, length - 1)),
  };
}
