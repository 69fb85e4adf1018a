import { splitKey, type Tensor } from "@tsformers/engine";
import type { LayerPositions } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { learned } from "./learned.ts";

/**
 * One learned vector per position and layer, added to the input of the layer, so that position information survives depth.
 *
 * `x_n ← x_n + P_n[t]` for every layer n.
 *
 * @shape  positions [T] or [B, T] int32 → [T, C] or [B, T, C]; weight [length, C] for each layer
 * @cost   layers·length·C parameters
 * @source Al-Rfou et al. 2018, "Character-Level Language Modeling with Deeper Self-Attention", §3, arXiv:1808.04444
 */
export function learnedPerLayer(
  layers: number,
  length: number,
  width: number,
  initial: Initial = normalInitial(),
): LayerPositions<readonly { weight: Tensor }[]> {
  const one = learned(length, width, initial);
  return {
    length,
    init: (key) => splitKey(key, layers).map((own) => one.init(own)),
    apply: (params, layer, positions) => {
      const own = params[layer];
      if (own === undefined) throw new RangeError(`learnedPerLayer: made for ${layers} layers, got layer ${layer}`);
      return one.apply(own, positions);
    },
  };
}
