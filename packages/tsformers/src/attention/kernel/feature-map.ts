import {
  add,
  customGradient,
  exp,
  max,
  maximum,
  minimum,
  mul,
  relu,
  stopGradient,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { present } from "../../schema/present.ts";
import type { Features } from "./kernel-attention.ts";

/**
 * Features [B, H, T, M], and their height [B, H, T, 1]: what they stand for is `e^height · features`, which may be beyond float32.
 * Absent: 0.
 */
export type Raised = { readonly features: Tensor; readonly height?: Tensor };

/**
 * Feature map φ of kernel attention: weight(t, s) = φ(q_t)·φ(k_s), from [B, H, T, D] to [B, H, T, M]. Heights of queries cancel
 * between numerator and denominator.
 */
export type FeatureMap = {
  query(q: Tensor): Raised;
  key(k: Tensor): Raised;
  /** Whether features have heights. */
  readonly raised?: true;
};

/** The features of queries and keys. */
export function mapped(map: FeatureMap, q: Tensor, k: Tensor): Features {
  const { features: key, height } = map.key(k);
  return { query: map.query(q).features, key, ...present({ height }) };
}

/** A feature map that is the same for queries and keys. */
export function alike(of: (x: Tensor) => Raised): FeatureMap {
  return { query: of, key: of };
}

/** A feature map that applies one function element by element to queries and keys. */
export function elementwise(of: (x: Tensor) => Tensor): FeatureMap {
  return alike((x) => ({ features: of(x) }));
}

/** `elu(x) + 1`: x + 1 above 0 and eˣ below. */
export const eluPlusOne: FeatureMap = elementwise((x) => {
  const [features] = customGradient({
    forward: (x) => [add(exp(minimum(x!, 0)), relu(x!))],
    // The slope is 1 above 0, and below 0 it equals the feature, which is then less than 1: only the features need to be kept.
    backward: ({ outputs: [features], cotangents: [dy] }) => [mul(dy!, minimum(features!, 1))],
  })(x);
  return features!;
});

/** `max(x, 0) + ε`: nearly sparse features; ε keeps a gradient between queries and keys that share no active feature. Default: ε = 1e-3. */
export function rectified(epsilon = 1e-3): FeatureMap {
  return elementwise((x) => add(maximum(x, 0), epsilon));
}

/** `eˣ`: the kernel of a product of two softmaxes. Its height is the largest component. */
export const exponential: FeatureMap = {
  ...alike((x) => {
    const height = stopGradient(max(x, { axes: -1, keepDims: true }));
    return { features: exp(sub(x, height)), height };
  }),
  raised: true,
};
