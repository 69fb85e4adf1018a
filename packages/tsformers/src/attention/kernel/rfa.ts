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
import * as z from "zod";
import type { Mixer } from "../../kinds/index.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { exactCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { awayFromZero } from "./denominator.ts";
import { draws } from "./drawn-features.ts";
import { elementwise, type FeatureMap } from "./feature-map.ts";
import {
  gatedOption,
  type KernelMixerOptions,
  type KernelMixerParams,
  kernelMixer,
  kernelRefusals,
} from "./kernel-mixer.ts";
import { gaussianRows } from "./random-rows.ts";

/** The features of projected vectors u = W·x̂. */
export type RfaKernel = {
  /** Number of features that M rows give. */
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
 * Random features of normalised vectors: those of `u = W·x̂`, `x̂ = x / (|x| + ε)`.
 *
 * @shape  w [H, M, D]: x [B, H, T, D] → [B, H, T, M], or twice as many
 */
export function rfaFeatures(w: Tensor, kernel: RfaKernel = gaussianKernel, normEpsilon = 1e-3): FeatureMap {
  return elementwise((x) => {
    // The lower bound keeps the slope of the root finite for a zero vector.
    const length = sqrt(maximum(sum(square(x), { axes: -1, keepDims: true }), 1e-30));
    return kernel.of(matmul(mul(x, div(1, add(length, normEpsilon))), w, { transposeB: true }));
  });
}

export type RfaOptions = KernelMixerOptions & {
  /** Number of rows drawn for each head. Default: D. Sines and cosines give twice as many features. */
  readonly features?: number;
  /** Default: {@link gaussianKernel}. */
  readonly kernel?: RfaKernel;
  /** τ, by which the rows are divided. Default: 1. */
  readonly temperature?: number;
  /** ε of |x| + ε. Default: 1e-3. */
  readonly normEpsilon?: number;
  /** Number of matrices that training passes draw from; 1: always the same matrix. Default: 500. */
  readonly pool?: number;
};

/** σ, learned deviations of the random rows by head and component, [H, D]. */
export type RfaParams = KernelMixerParams<{ deviation: Tensor }>;

const defaults = { temperature: 1, pool: 500 };

/**
 * Random feature attention: the Gaussian kernel between normalised queries and keys, estimated with sines and cosines.
 *
 * `u = W·x̂`, `W = σ ∘ w / τ` with w drawn from the normal distribution and σ learned; with `gated` the sums decay:
 * `S_t = g_t S_{t−1} + (1 − g_t) φ(k_t) ⊗ v_t`. Each training pass draws a matrix from the pool; evaluation and decoding
 * use the first. Rotary positions rotate queries and keys, which keeps their length, before the feature map.
 *
 * @shape  x [B, T, C] → y [B, T, C]; training state: w [H, M, D] of training and of evaluation, their key, the passes so far
 * @cost   O(B·H·T·M·D) time, O(B·H·T·M) memory
 * @source Peng et al. 2021, "Random Feature Attention", arXiv:2103.02143
 * @differs the paper divides by the sum of weights as it is, which can be 0 or negative; its code clamps it to at least 1 in the
 *   recurrent form, `atLeast(1)`, and its magnitude to at least 1e-3 in the other. All forms here do the latter
 *   (`awayFromZero(1e-3)`), so that they agree; `exactly` is the paper's
 */
export function rfa(options: RfaOptions): Mixer<RfaParams> {
  const name = "rfa";
  const headWidth = headWidthOf(name, options);
  const {
    heads,
    features: rows = headWidth,
    kernel = gaussianKernel,
    temperature = defaults.temperature,
    normEpsilon = 1e-3,
    pool = defaults.pool,
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

export type RfaSettings = {
  readonly features?: number;
  readonly kernel?: "gaussian" | "arc-cosine";
  readonly gated?: boolean;
  readonly temperature?: number;
  readonly pool?: number;
};

export const rfaEntry: MixerEntry<"rfa", RfaSettings> = /* @__PURE__ */ mixerEntry({
  name: "rfa",
  title: "Random feature attention",
  year: 2021,
  paper: "Peng et al. 2021, Random Feature Attention, arXiv:2103.02143",
  summary: "attention with a Gaussian kernel of normalised queries and keys, estimated with sines and cosines",
  formula: "y_t = φ(q_t)·S_t / φ(q_t)·z_t, S_t = g_t S_{t−1} + (1 − g_t) φ(k_t) ⊗ v_t, φ(x) = [sin Wx̂, cos Wx̂]",
  cost: "O(n·m·d) time, O(n·(m + d)) memory",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  refuses: kernelRefusals,
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      features: positionCount().optional().describe("how many directions are drawn for each head. Default: D"),
      kernel: z.enum(["gaussian", "arc-cosine"]).default("gaussian").describe("the kernel that is estimated"),
      gated: gatedOption(),
      temperature: z.number().positive().default(defaults.temperature).describe("τ: directions are divided by it"),
      pool: exactCount().default(defaults.pool).describe("of how many drawn matrices each training pass takes one"),
    }),
  make: ({ features, kernel, gated, temperature, pool }, context) =>
    rfa({
      ...context,
      ...present({ features }),
      kernel: kernel === "gaussian" ? gaussianKernel : arcCosineKernel,
      temperature,
      pool,
      ...(gated && { gated }),
    }),
});
