import { add, customGradient, exp, maximum, minimum, mul, relu, type Tensor } from "@tsformers/engine";

/** Feature map φ of kernel attention: weight(t, s) = φ(q_t)·φ(k_s). */
export type FeatureMap = {
  /** Features of queries: [B, H, T, D] → [B, H, T, M]. */
  query(q: Tensor): Tensor;
  /** Features of keys: [B, H, S, D] → [B, H, S, M]. `mask` [B, 1, S, 1], for maps that look at all keys at once, is 0 for masked keys. */
  key(k: Tensor, mask?: Tensor): Tensor;
};

/** A feature map that applies one function element by element to queries and keys alike. */
export function elementwise(of: (x: Tensor) => Tensor): FeatureMap {
  return { query: of, key: of };
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

/** `eˣ`: the kernel of a product of two softmaxes. Grows fast; for narrow or normalised inputs. */
export const exponential: FeatureMap = elementwise(exp);
