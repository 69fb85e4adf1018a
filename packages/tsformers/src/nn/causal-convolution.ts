import { add, type Concrete, concat, mul, slice, type Tensor, uniform, zeros } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { zerosInitial } from "./initial.ts";
import { requireCounts } from "./sizes.ts";

/** weight [W, C], bias [C] */
export type CausalConvolutionParams = { weight: Tensor; bias?: Tensor };

/**
 * Depthwise causal convolution: each feature is a learned sum of itself at the last W positions.
 *
 * `y[b,t,c] = bias[c] + Σ_i weight[i,c] · x[b, t − W + 1 + i, c]`, with zeros before the first position. Weights start uniform on ±1/√W.
 *
 * `before` are the inputs of the W − 1 positions in front of x, zeros by default; `after` are those that the next call needs.
 *
 * @shape  x [B, T, C], before [B, W − 1, C] → y [B, T, C], after [B, W − 1, C]
 * @cost   O(B·T·C·W) time; W·C + C parameters, without bias W·C
 */
export function causalConvolution(
  channels: number,
  width: number,
  { bias: biased = true }: { readonly bias?: boolean } = {},
): Layer<CausalConvolutionParams, [x: Tensor, before?: Tensor], { y: Tensor; after: Tensor }> {
  requireCounts("causal convolution", { channels, width });
  const limit = 1 / Math.sqrt(width);
  return {
    init: (key): Concrete<CausalConvolutionParams> => ({
      weight: uniform(key, [width, channels], { low: -limit, high: limit }),
      ...(biased && { bias: zerosInitial(key, [channels]) }),
    }),
    apply: ({ weight, bias }, x, before) => {
      const [batch, length] = x.shape as [number, number, number];
      const all = concat([before ?? zeros([batch, width - 1, channels], x.dtype), x], 1);
      const terms = Array.from({ length: width }, (_, i) =>
        mul(slice(all, 1, i, i + length), slice(weight, 0, i, i + 1)),
      );
      const y = terms.reduce((total, term) => add(total, term));
      return { y: bias === undefined ? y : add(y, bias), after: slice(all, 1, length) };
    },
  };
}
