import {
  add,
  cast,
  concat,
  cos,
  div,
  expandDims,
  full,
  matmul,
  maximum,
  mul,
  relu,
  sin,
  sqrt,
  square,
  sum,
  type Tensor,
} from "@tsformers/engine";
import type { Mixer } from "../../kinds/index.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { awayFromZero } from "./denominator.ts";
import { draws } from "./drawn-features.ts";
import type { FeatureMap } from "./feature-map.ts";
import { type KernelMixerOptions, type KernelMixerParams, kernelMixer } from "./kernel-mixer.ts";
import { gaussianRows } from "./random-rows.ts";

/** What is made of u = W·x̂. */
export type RfaKernel = {
  /** How many features M rows give. */
  count(rows: number): number;
  /** u [B, H, T, M] → features */
  of(u: Tensor): Tensor;
};

/** `M^−½ [sin u, cos u]`: the Gaussian kernel exp(−½|q̂ − k̂|²) for W of standard normal rows. */
export const gaussianKernel: RfaKernel = {
  count: (rows) => 2 * rows,
  of: (u) => mul(concat([sin(u), cos(u)], -1), u.shape.at(-1)! ** -0.5),
};

/** `M^−½ max(u, 0)`: the arc-cosine kernel of first order. */
export const arcCosineKernel: RfaKernel = {
  count: (rows) => rows,
  of: (u) => mul(relu(u), u.shape.at(-1)! ** -0.5),
};

/**
 * Features of vectors on the sphere: those of `u = W·x̂`, `x̂ = x / (|x| + ε)`.
 *
 * @shape  w [H, M, D]: x [B, H, T, D] → [B, H, T, M], or twice as many
 */
export function rfaFeatures(w: Tensor, kernel: RfaKernel = gaussianKernel, normEpsilon = 1e-3): FeatureMap {
  const features = (x: Tensor) => {
    // The bound only keeps the slope of the root finite for a vector of zeros.
    const length = sqrt(maximum(sum(square(x), { axes: -1, keepDims: true }), 1e-30));
    return kernel.of(matmul(mul(x, div(1, add(length, normEpsilon))), w, { transposeB: true }));
  };
  return { query: features, key: features };
}

export type RfaOptions = KernelMixerOptions & {
  /** How many directions are drawn for each head; D unless told. Sines and cosines make twice as many features of them. */
  readonly features?: number;
  /** {@link gaussianKernel} unless told. */
  readonly kernel?: RfaKernel;
  /** Rows are divided by it; 1 unless told. */
  readonly temperature?: number;
  /** ε of |x| + ε; 1e-3 unless told. */
  readonly normEpsilon?: number;
  /** Of how many matrices each training pass takes one; 500 unless told, 1 for always the same. */
  readonly pool?: number;
};

/** Deviations of the drawn rows by head and width, [H, D]. */
export type RfaParams = KernelMixerParams<{ deviation: Tensor }>;

/**
 * Random feature attention: the Gaussian kernel between normalised queries and keys, estimated with sines and cosines.
 *
 * `u = W·x̂`, `W = σ ∘ w / τ` with w drawn from the normal distribution and σ learned; with `gated` the sums forget:
 * `S_t = g_t S_{t−1} + (1 − g_t) φ(k_t) ⊗ v_t`. Training takes another matrix of the pool at each pass; evaluation and decoding
 * take the first. Rotary positions turn queries and keys, whose length they leave alone, before the features.
 *
 * @shape  x [B, T, C] → y [B, T, C]; training state: w [H, M, D] twice, of training and of evaluation, their key, the passes so far
 * @cost   O(B·H·T·M·D) time, O(B·H·T·M) memory
 * @source Peng et al. 2021, "Random Feature Attention", arXiv:2103.02143
 * @differs the paper divides by the sum of weights as it is, which can be 0 or less; its code takes at least 1 in the
 *   recurrent form, `atLeast(1)`, and a magnitude of at least 1e-3 in the other. All forms here do the latter
 *   (`awayFromZero(1e-3)`), so that they agree; `exactly` is the paper's
 */
export function rfa(options: RfaOptions): Mixer<RfaParams> {
  const name = "rfa";
  const headWidth = headWidthOf(name, options);
  const {
    heads,
    features: rows = headWidth,
    kernel = gaussianKernel,
    temperature = 1,
    normEpsilon = 1e-3,
    pool = 500,
  } = options;
  if (!(Number.isInteger(rows) && rows > 0))
    throw new RangeError(`${name}: expected a positive number of features, got ${rows}`);
  return kernelMixer<{ deviation: Tensor }>(
    {
      name,
      features: kernel.count(rows),
      draws: draws(gaussianRows, [heads, rows, headWidth], pool === 1 ? {} : { every: 1, pool, evaluatesFirst: true }),
      init: () => ({ deviation: full([heads, headWidth], 1) }),
      map: (own, directions) =>
        rfaFeatures(
          mul(directions!, cast(mul(expandDims(own!.deviation, 1), 1 / temperature), directions!.dtype)),
          kernel,
          normEpsilon,
        ),
      denominator: awayFromZero(1e-3),
      turns: "vectors",
    },
    options,
  );
}
