import { type Concrete, splitKey } from "@tsformers/engine";
import type { ScoreMod } from "../kinds/index.ts";
import { sumOfLosses } from "../nn/losses.ts";

/** Gives every layer its own parameters of a scheme. */
export function perLayer<Params, Own>(
  scores: ScoreMod<Params, Own>,
  layers: number,
): ScoreMod<readonly Params[], Params | Own> {
  return {
    init: (key) => splitKey(key, layers).map((own) => scores.init(own)) as Concrete<readonly Params[]>,
    forLayer: (params, layer, pass) => {
      const own = params[layer];
      if (own === undefined) throw new RangeError(`perLayer: made for ${layers} layers, got layer ${layer}`);
      return scores.forLayer?.(own, layer, pass) ?? own;
    },
    prepare: (own, positions) => scores.prepare(own as Own, positions),
    ...(scores.penalty !== undefined && {
      penalty: (params) => sumOfLosses(params.map((own) => scores.penalty!(own))),
    }),
    ...(scores.spans !== undefined && {
      spans: (params, layer) => scores.spans!(params[layer] as Concrete<Params>, layer),
    }),
    ...(scores.project !== undefined && { project: (params) => params.map((own) => scores.project!(own)) }),
  };
}
