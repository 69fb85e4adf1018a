import { add, exp, max, mul, stopGradient, sub, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { exactly } from "../../attention/kernel/denominator.ts";
import {
  generalised,
  halfNorms,
  hyperbolic,
  positive,
  projected,
  type RandomFeatures,
  trigonometric,
} from "../../attention/kernel/favor-features.ts";
import type { Raised } from "../../attention/kernel/feature-map.ts";
import { kernelAttention } from "../../attention/kernel/kernel-attention.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  kernel: z.enum(["softmax", "hyperbolic", "trig", "relu"]),
  causal: z.boolean(),
  eps: z.number().nonnegative(),
  stab: z.enum(["max", "none"]),
  stab_stop_gradient: z.boolean(),
  normalize_data: z.boolean(),
});

type Options = z.output<typeof options>;

/** Performer: q [B, H, T, D], k [B, H, S, D], v [B, H, S, E] and the projection [M, D]. */
export const performer: Mechanism = {
  run({ q, k, v, projection }, given) {
    const chosen = options.parse(given);
    const map = chosen.stab === "max" && chosen.kernel === "softmax" ? published(chosen) : featuresOf(chosen);
    const { query, key } = map.map(projection!);
    const [queries, keys] = [query(q!), key(k!)];
    const features = { query: queries.features, key: keys.features, ...present({ height: keys.height }) };
    const { mixed } = kernelAttention(features, v!, { causal: chosen.causal, denominator: exactly });
    return { out: mixed, q_features: whole(queries), k_features: whole(keys) };
  },
};

const whole = ({ features, height }: Raised): Tensor => (height === undefined ? features : mul(features, exp(height)));

function featuresOf({ kernel, eps, stab, normalize_data }: Options): RandomFeatures {
  const scale = normalize_data ? {} : { unscaled: true as const };
  if (kernel === "relu") return generalised({ epsilon: eps, ...scale });
  if (eps !== 0 || stab !== "none") {
    throw new RangeError(`performer: ${kernel} has no eps and no stab, got eps ${eps} and stab ${stab}`);
  }
  return { softmax: positive, hyperbolic, trig: trigonometric }[kernel](scale);
}

/** The features of the authors' code: lowered by the largest product of a query, or of all keys together, and then raised by ε. */
function published({ eps, stab_stop_gradient: stops, normalize_data }: Options): Pick<RandomFeatures, "map"> {
  const unscaled = normalize_data ? undefined : true;
  const settle = stops ? stopGradient : (x: Tensor) => x;
  const features = (projection: Tensor, axes: readonly number[]) => (x: Tensor) => {
    const products = projected(x, projection, unscaled);
    const lowered = add(halfNorms(x, unscaled), settle(max(products, { axes: [...axes], keepDims: true })));
    return { features: mul(add(exp(sub(products, lowered)), eps), products.shape.at(-1)! ** -0.5) };
  };
  return { map: (projection) => ({ query: features(projection, [-1]), key: features(projection, [-1, -2]) }) };
}
