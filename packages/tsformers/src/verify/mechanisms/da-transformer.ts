import { abs, cast, constant, convert, iota, reshape } from "@tsformers/engine";
import * as z from "zod";
import { distances } from "../../attention/core/by-distance.ts";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { causal, fullPattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { distanceAware, distanceFactor } from "../../position/distance-aware.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({ causal: z.boolean() });

/** Distance-aware Transformer: q, k, v [B, H, T, D], w and v_param [H], optional key_mask [B, T]. */
export const daTransformer: Mechanism = {
  run({ q, k, v, w, v_param: shift }, given, { key_mask: mask }) {
    const pattern = options.parse(given).causal ? causal : fullPattern;
    const [, heads, length, width] = q!.shape as [number, number, number, number];
    const keyMask = mask && constant(convert(mask, "float32"));
    const params = { weight: w!, shift: shift! };
    const scores = distanceAware(heads);
    const view = makeView({
      pattern,
      queries: length,
      keys: length,
      ...present({ keyMask }),
      scores: (positions) => scores.prepare(params, positions),
    });
    const scale = 1 / Math.sqrt(width);
    const { mixed, map } = attend(q!, { key: k!, value: v! }, { view, scale, context: evaluation });
    const each = abs(cast(distances({ query: iota(length), key: iota(length) }), "float32"));
    const [own, base] = [w!, shift!].map((x) => reshape(x, [heads, 1, 1]));
    return { out: mixed, probs: map().weights, coefficient: distanceFactor(each, own!, base!) };
  },
};
