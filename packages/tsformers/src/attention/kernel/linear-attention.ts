import * as z from "zod";
import type { Mixer } from "../../kinds/index.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import { type MixerEntry, mixerEntry } from "../mixer-entry.ts";
import { plus } from "./denominator.ts";
import { eluPlusOne, exponential, type FeatureMap, rectified } from "./feature-map.ts";
import {
  gatedOption,
  type KernelMixerOptions,
  type KernelMixerParams,
  kernelMixer,
  kernelRefusals,
} from "./kernel-mixer.ts";

export type LinearAttentionOptions = KernelMixerOptions & {
  /** Feature map, which keeps the width of a head. Default: {@link eluPlusOne}. */
  readonly featureMap?: FeatureMap;
};

const defaults = { epsilon: 1e-6 };

/**
 * Linear attention: `y_t = φ(q_t)·(Σ_s φ(k_s) ⊗ v_s) / (φ(q_t)·Σ_s φ(k_s) + 1e-6)`, sums over all s, or over s ≤ t when causal.
 *
 * There are no logits, hence no scale. The causal form decodes with a state whose size does not depend on the length.
 * Rotary positions rotate the features φ(q), φ(k) in the numerator only, as in RoFormer: products of rotated features may be
 * negative, and the normaliser has to stay positive. The weights then need not sum to 1.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·H·T·D²) time, O(B·T·C) memory
 * @source Katharopoulos et al. 2020, "Transformers are RNNs", §3, arXiv:2006.16236; rotary: Su et al. 2021, "RoFormer",
 *   §3.3, eq. 19, arXiv:2104.09864
 * @differs the paper has no epsilon; `plus(1e-6)` is from its authors' code, and is the default because a position that sees
 *   no key then gives 0. With {@link exponential} features it is added to the sum measured by the highest key
 */
export function linearAttention(options: LinearAttentionOptions): Mixer<KernelMixerParams<never>> {
  const map = options.featureMap ?? eluPlusOne;
  const name = "linear attention";
  return kernelMixer(
    {
      name,
      features: headWidthOf(name, options),
      map: () => map,
      denominator: plus(defaults.epsilon),
      turns: "features",
      ...present({ raised: map.raised }),
    },
    options,
  );
}

export type LinearAttentionSettings = {
  readonly featureMap?: "elu+1" | "relu" | "exp";
  readonly epsilon?: number;
  readonly gated?: boolean;
};

export const linearEntry: MixerEntry<"linear", LinearAttentionSettings> = /* @__PURE__ */ mixerEntry({
  name: "linear",
  title: "Linear attention",
  year: 2020,
  paper: "Katharopoulos et al. 2020, Transformers are RNNs, arXiv:2006.16236",
  summary: "attention as a kernel of features: sums over keys and values that do not grow with the length",
  formula: "y_t = φ(q_t)·Σ_s φ(k_s) ⊗ v_s / (φ(q_t)·Σ_s φ(k_s) + ε)",
  cost: "O(n·d²/h) time, O(n·d) memory",
  exponent: 1,
  directions: ["causal", "bidirectional"],
  refuses: kernelRefusals,
  decodeState: "stays the same",
  options: () =>
    z.strictObject({
      featureMap: z.enum(["elu+1", "relu", "exp"]).default("elu+1").describe("what makes features of queries and keys"),
      epsilon: z.number().nonnegative().default(defaults.epsilon).describe("added to the sum of weights"),
      gated: gatedOption(),
    }),
  make: ({ featureMap, epsilon, gated }, context) => {
    const maps = { "elu+1": eluPlusOne, relu: rectified(), exp: exponential };
    return linearAttention({
      ...context,
      featureMap: maps[featureMap],
      denominator: plus(epsilon),
      ...(gated && { gated }),
    });
  },
});
