import { add, customGradient, exp, maximum, minimum, mul, relu, type Tensor } from "@tsformers/engine";

/** What stands for queries and keys where attention is a kernel: weight(t, s) = φ(q_t)·φ(k_s). */
export type FeatureMap = {
  /** [B, H, T, D] → [B, H, T, M] */
  query(q: Tensor): Tensor;
  /** [B, H, S, D] → [B, H, S, M]; `mask` [B, 1, S, 1] is 0 for keys that nobody sees, where the map looks at all keys at once. */
  key(k: Tensor, mask?: Tensor): Tensor;
};

/** One function for queries and keys, element by element. */
export function elementwise(of: (x: Tensor) => Tensor): FeatureMap {
  return { query: of, key: of };
}

/** `elu(x) + 1`: x + 1 above 0 and eˣ below. */
export const eluPlusOne: FeatureMap = elementwise((x) => {
  const [features] = customGradient({
    forward: (x) => [add(exp(minimum(x!, 0)), relu(x!))],
    // The slope is 1 above 0 and the feature itself below, where it is less than 1: nothing but the features is kept.
    backward: ({ outputs: [features], cotangents: [dy] }) => [mul(dy!, minimum(features!, 1))],
  })(x);
  return features!;
});

/** `max(x, 0) + ε`: exactly sparse features, with ε to keep a slope between queries and keys that share none. */
export function rectified(epsilon = 1e-3): FeatureMap {
  return elementwise((x) => add(maximum(x, 0), epsilon));
}

/** `eˣ`: the features of a product of softmaxes. Grows fast; for narrow or normalised inputs. */
export const exponential: FeatureMap = elementwise(exp);
