import {
  abs,
  add,
  type Concrete,
  cast,
  exp,
  full,
  mul,
  normal,
  relu,
  reshape,
  sigmoid,
  sub,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { ofHeads, spreadFormula } from "../attention/core/by-distance.ts";
import type { ScoreMod } from "../kinds/index.ts";
import type { NoSettings } from "../schema/entry.ts";
import { perLayer } from "./per-layer.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

/** Weight w and shift v of each head, [H] each. */
export type DistanceAwareParams = { weight: Tensor; shift: Tensor };

/**
 * Distance-aware logits: each head learns whether near or far positions matter to it. Logits are rectified and scaled by a bounded
 * function of distance.
 *
 * `logits[b,h,t,s] ← relu(logits) · f(w_h·|t − s|)`, with `f(R) = (1 + e^v_h) / (1 + e^(v_h − R))`: 1 at R = 0, towards 1 + e^v for
 * w > 0, towards 0 for w < 0.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(H·T·(T + S)) time besides the product; 2·H parameters a layer (`perLayer`)
 * @source Wu, Wu & Huang 2021, "DA-Transformer: Distance-aware Transformer", §3, arXiv:2010.06925
 * @differs the mask is applied after the rectifier: before it, hidden pairs would get a logit of 0 and so a weight
 */
export function distanceAware(heads: number): ScoreMod<DistanceAwareParams> {
  return {
    init: (key): Concrete<DistanceAwareParams> => ({ weight: normal(key, [heads]), shift: full([heads], 0) }),
    prepare: ({ weight, shift }, positions) => {
      const ofEach = (x: Tensor) => cast(reshape(ofHeads(x, positions), [-1, 1, 1]), "float32");
      const [w, v] = [ofEach(weight), ofEach(shift)];
      const factor = spreadFormula(positions, (distance) => distanceFactor(distance, w, v));
      return { logits: (logits) => mul(relu(logits), factor) };
    },
  };
}

/** The factor `f(w·|distance|)` of {@link distanceAware}, with w and v [H, 1, 1]. */
export function distanceFactor(distance: Tensor, w: Tensor, v: Tensor): Tensor {
  // Written as 1/(1 + e^x), a large x would give a gradient of 0·∞.
  return mul(add(exp(v), 1), sigmoid(sub(mul(w, abs(distance)), v)));
}

export const distanceAwareEntry: PositionEntry<"distance-aware", NoSettings> = /* @__PURE__ */ positionEntry({
  name: "distance-aware",
  title: "Distance-aware attention",
  year: 2021,
  paper: "Wu, Wu & Huang 2021, DA-Transformer: Distance-aware Transformer, arXiv:2010.06925",
  category: "scores",
  summary: "each head learns whether near or far positions matter to it",
  formula: "logits = relu(q_t·k_s)·f(w_h·|t − s|)/√D, f(R) = (1 + e^v)/(1 + e^(v − R))",
  cost: "2·H parameters a layer; O(B·H·T·(T + S)) a layer",
  beyond: "defined: the function of distance levels off",
  options: () => z.strictObject({}),
  make: (_, { layers, heads }) => ({ scores: perLayer(distanceAware(heads), layers) }),
});
