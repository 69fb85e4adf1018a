import { abs, add, cast, constant, expandDims, mul, ndarray, neg, reshape, sub } from "@tsformers/engine";
import type { ScoreMod } from "../attention/kinds.ts";

/**
 * Linear position bias: each head lowers a logit in proportion to distance.
 *
 * `logits[b,h,t,s] −= slope[h] · |t − s|`; under a causal pattern `|t − s|` is `t − s`.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(B·H·T·S) time, no parameters
 * @source Press, Smith & Lewis 2022, "Train Short, Test Long", §3, arXiv:2108.12409
 */
export function alibi(heads: number, options: { readonly exponent?: number } = {}): ScoreMod<Record<string, never>> {
  const slopes = ndarray(alibiSlopes(heads, options.exponent));
  return {
    init: () => ({}),
    prepare: (_, { query, key }) => {
      const distance = abs(sub(expandDims(cast(query, "float32"), -1), expandDims(cast(key, "float32"), -2)));
      const perHead = distance.shape.length === 2 ? distance : expandDims(distance, 1);
      const bias = mul(perHead, neg(reshape(constant(slopes), [heads, 1, 1])));
      return (logits) => add(logits, bias);
    },
  };
}

/**
 * `slope[h] = 2^(−exponent·(h+1)/H)` for H a power of two, the exponent 8 unless told; otherwise those of the next smaller power of two, followed by every
 * second one of twice that, as the authors' code does.
 */
export function alibiSlopes(heads: number, exponent = 8): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number) => Array.from({ length: count }, (_, h) => 2 ** ((-exponent * (h + 1)) / count));
  const between = series(2 * power).filter((_, h) => h % 2 === 0);
  return [...series(power), ...between.slice(0, heads - power)];
}
