import { splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import type { LayerPositions } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import type { NoSettings } from "../schema/entry.ts";
import { learned } from "./learned.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

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

export const learnedPerLayerEntry: PositionEntry<"per-layer", NoSettings> = /* @__PURE__ */ positionEntry({
  name: "per-layer",
  title: "Learned positions for each layer",
  year: 2018,
  paper: "Al-Rfou et al. 2018, Character-Level Language Modeling with Deeper Self-Attention, arXiv:1808.04444",
  category: "inputs",
  summary: "a trained vector for each position and layer, added to the input of the layer",
  formula: "x_n[t] ← x_n[t] + P_n[t], P_n [length, C] for every layer n",
  cost: "layers·length·C parameters",
  beyond: "undefined: positions past the tables take their last vectors; generation ends before them",
  options: () => z.strictObject({}),
  make: (_, { layers, length, modelWidth, initial }) => ({
    layerPositions: learnedPerLayer(layers, length, modelWidth, initial),
  }),
});
