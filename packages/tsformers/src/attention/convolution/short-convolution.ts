import { type Concrete, cast, expandDims, full, mul, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { Context, Mixer, Recurrent } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { type CausalConvolutionParams, causalConvolution } from "../../nn/causal-convolution.ts";
import { dropout } from "../../nn/dropout.ts";
import type { Initial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { requireRate } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { requireSupport } from "../core/require-support.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";

export type ShortConvolutionParams = { convolution: CausalConvolutionParams; projection: LinearParams };

export type ShortConvolutionOptions = {
  readonly modelWidth: number;
  /** W, positions that are looked at, the own one included. Default: 3. */
  readonly width?: number;
  readonly dropoutRate?: number;
  /** Of the projection. Default: {@link normalInitial}. */
  readonly initial?: Initial;
};

const refusals = { scores: "it computes no logits", rotation: "it has no queries and keys" };

/**
 * Gated short convolution (BaseConv): `y = (x·W + b) ⊙ conv(x)`, with a {@link causalConvolution} over W positions. It lets the next layer see
 * tokens with those just before them, such as a value with its key. Padding counts as zeros. It has no heads and no map.
 *
 * @shape  x [B, T, C] → y [B, T, C]; decode state [B, W − 1, C]
 * @cost   O(B·T·C·(C + W)) time; C² + C + W·C + C parameters
 * @source Arora et al. 2023, "Zoology: Measuring and Improving Recall in Efficient Language Models", arXiv:2312.04927
 * @differs the published code adds x to y; here the residual stream is all that goes past the layer, as in the paper's formula
 */
export function shortConvolution(options: ShortConvolutionOptions): Mixer<ShortConvolutionParams> {
  const { modelWidth, width = 3, dropoutRate = 0, initial } = options;
  requireRate("short-convolution", dropoutRate);
  if (width < 2) throw new RangeError(`short-convolution: width must be a whole number of at least 2, got ${width}`);
  const convolution = causalConvolution(modelWidth, width);
  const projection = linear(modelWidth, modelWidth, present({ initial }));
  const mix = (
    params: ShortConvolutionParams,
    x: Tensor,
    { mask, context, before }: { mask: Tensor | undefined; context: Context; before?: Tensor },
  ) => {
    const shown = mask === undefined ? x : mul(x, expandDims(cast(mask, x.dtype), -1));
    const { y, after } = convolution.apply(params.convolution, shown, before);
    return { y: dropout(mul(projection.apply(params.projection, x), y), dropoutRate, context, "out"), after };
  };
  const recurrent: Recurrent<ShortConvolutionParams, Tensor> = {
    start: (batch) => full([batch, width - 1, modelWidth], 0),
    step: (params, x, before, { position, view }) => {
      requireSupport("short-convolution", view, refusals);
      const { y, after } = mix(params, x, { mask: maskAt(view.keyMask, position), context: evaluation, before });
      return { y, state: after };
    },
  };
  return {
    name: "short-convolution",
    sees: "earlier",
    init: (key): Concrete<ShortConvolutionParams> => {
      const [convolutionKey, projectionKey] = splitKey(key, 2);
      return { convolution: convolution.init(convolutionKey!), projection: projection.init(projectionKey!) };
    },
    apply: (params, input, context) => {
      oneSequence("short-convolution", input);
      requireSupport("short-convolution", input.view, refusals);
      return { y: mix(params, input.x, { mask: input.view.keyMask, context }).y };
    },
    recurrent: recurrent as Recurrent<ShortConvolutionParams, never>,
  };
}

export const shortConvolutionEntry: MixerEntry<
  "short-convolution",
  Pick<ShortConvolutionOptions, "width">
> = /* @__PURE__ */ mixerEntry({
  name: "short-convolution",
  title: "Gated short convolution (BaseConv)",
  year: 2023,
  paper: "Arora et al. 2023, Zoology: Measuring and Improving Recall in Efficient Language Models, arXiv:2312.04927",
  summary: "each feature is gated by a sum over a few positions; stands before mixers that look far",
  formula: "y = (x·W + b) ⊙ conv(x), conv(x)_t = c + Σ_i w_i ⊙ x_{t−i}, i < width",
  cost: "O(n·(d + w)·d) time, O(n·d) memory",
  exponent: 1,
  directions: ["causal"],
  refuses: refusals,
  averages: false,
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      width: positionCount(2).default(3).describe("positions that are looked at, the own one included"),
    }),
  make: (settings, context) => shortConvolution({ ...context, ...settings }),
});
