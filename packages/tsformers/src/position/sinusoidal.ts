import { concat, mul, pad, reshape, stack, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { PositionEmbedding } from "../kinds/index.ts";
import { requireEvenWidth } from "../nn/sizes.ts";
import { type Angles, baseOption, exactAngles, frequencies } from "./angles.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/** How sines and cosines of K frequencies are arranged in a vector: two of [..., K] → [..., 2K]. */
export type SinusoidLayout = (waves: { readonly sin: Tensor; readonly cos: Tensor }) => Tensor;

/** sin, cos, sin, cos, …, as in the paper. */
export const interleaved: SinusoidLayout = ({ sin, cos }) => {
  const pairs = stack([sin, cos], -1);
  return reshape(pairs, [...sin.shape.slice(0, -1), 2 * sin.shape.at(-1)!]);
};

/** All sines, then all cosines, as in Tensor2Tensor, Transformer-XL and CTRL. */
export const concatenated: SinusoidLayout = ({ sin, cos }) => concat([sin, cos], -1);

export type SinusoidalOptions = {
  readonly layout?: SinusoidLayout;
  /** Default: {@link frequencies} of the width; {@link inclusiveFrequencies} are Tensor2Tensor's. */
  readonly frequencies?: readonly number[];
  readonly angles?: (frequencies: readonly number[]) => Angles;
};

/**
 * Sinusoidal positions: `PE[p, 2k] = sin(p · ω_k)`, `PE[p, 2k+1] = cos(p · ω_k)`, with `ω_k = 10000^(−2k/C)`.
 *
 * @shape  positions [T] or [B, T] int32 → [..., C]; no parameters
 * @source Vaswani et al. 2017, §3.5
 * @differs Tensor2Tensor, the paper's code, puts sines before cosines and spaces frequencies over C/2 − 1 steps; an odd
 *   width ends with a zero there
 */
export function sinusoidal(width: number, options: SinusoidalOptions = {}): PositionEmbedding<Record<string, never>> {
  const { layout = interleaved } = options;
  if (options.frequencies === undefined) requireEvenWidth("sinusoidal", width);
  const waves = options.frequencies ?? frequencies(width);
  const angles = (options.angles ?? exactAngles)(waves);
  const missing = width - 2 * waves.length;
  if (missing < 0 || missing > 1) {
    throw new RangeError(
      `sinusoidal: ${waves.length} frequencies give vectors of width ${2 * waves.length}, got width ${width}`,
    );
  }
  return {
    init: () => ({}),
    apply: (_, positions) => {
      const vectors = layout(angles(positions));
      return missing === 0
        ? vectors
        : pad(
            vectors,
            vectors.shape.map((_, axis) => [0, axis === vectors.shape.length - 1 ? 1 : 0] as const),
          );
    },
  };
}

export type WaveSettings = { readonly base?: number; readonly scale?: number };

/** The settings of fixed waves. */
export function waveOptions(): z.ZodObject<
  { readonly base: z.ZodDefault<z.ZodNumber>; readonly scale: z.ZodDefault<z.ZodNumber> },
  z.core.$strict
> {
  return z.strictObject({
    base: baseOption(),
    // The paper multiplies embeddings by √C instead, for which it starts them at 1/√C: the ratio of the two is the same.
    scale: z
      .number()
      .positive()
      .default(0.02)
      .describe("height of the waves; 0.02 is the size of embedded tokens at the start, as in the paper"),
  });
}

export const sinusoidalEntry: PositionEntry<"sinusoidal", WaveSettings> = /* @__PURE__ */ positionEntry({
  name: "sinusoidal",
  title: "Sinusoidal positions",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  category: "inputs",
  summary: "fixed waves added to the inputs",
  formula: "PE[p, 2k] = scale·sin(p·ω_k), PE[p, 2k+1] = scale·cos(p·ω_k), ω_k = base^(−2k/C)",
  cost: "no parameters",
  beyond: "defined, but loss rises soon after the training length",
  options: waveOptions,
  make: ({ base, scale }, { modelWidth }) => {
    requireEvenWidth("sinusoidal", modelWidth);
    const waves = sinusoidal(modelWidth, { frequencies: frequencies(modelWidth, base) });
    return { positions: { ...waves, apply: (_, positions) => mul(waves.apply({}, positions), scale) } };
  },
});
