import type { Mixer } from "../../kinds/index.ts";
import { headWidthOf } from "../../nn/sizes.ts";
import { plus } from "./denominator.ts";
import { eluPlusOne, type FeatureMap } from "./feature-map.ts";
import { type KernelMixerOptions, type KernelMixerParams, kernelMixer } from "./kernel-mixer.ts";

export type LinearAttentionOptions = KernelMixerOptions & {
  /** Feature map, which keeps the width of a head. Default: {@link eluPlusOne}. */
  readonly featureMap?: FeatureMap;
};

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
 *   no key then gives 0
 */
export function linearAttention(options: LinearAttentionOptions): Mixer<KernelMixerParams<never>> {
  const map = options.featureMap ?? eluPlusOne;
  const name = "linear attention";
  return kernelMixer(
    { name, features: headWidthOf(name, options), map: () => map, denominator: plus(1e-6), turns: "features" },
    options,
  );
}
