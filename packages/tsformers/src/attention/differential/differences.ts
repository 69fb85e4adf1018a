import {
  add,
  cast,
  concat,
  exp,
  mul,
  ones,
  reshape,
  rmsNormalization,
  slice,
  stack,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";

/** Which heads belong together, the first and the second of each pair: x [B, H, ·, ·] ↔ two of [B, H/2, ·, ·]. */
export type HeadPairs = {
  readonly split: (x: Tensor) => readonly [Tensor, Tensor];
  readonly join: (first: Tensor, second: Tensor) => Tensor;
};

/** Heads (0, 1), (2, 3), …, as in the authors' code. */
export const adjacentPairs: HeadPairs = {
  split: (x) => [slice(x, 1, 0, undefined, 2), slice(x, 1, 1, undefined, 2)],
  join: (first, second) => {
    const [batch, pairs, ...rest] = first.shape as [number, number, ...number[]];
    return reshape(stack([first, second], 2), [batch, 2 * pairs, ...rest]);
  },
};

/** Heads (0, H/2), (1, H/2 + 1), …, as in DiffLlama. */
export const pairsOfHalves: HeadPairs = {
  split: (x) => [slice(x, 1, 0, x.shape[1]! / 2), slice(x, 1, x.shape[1]! / 2)],
  join: (first, second) => concat([first, second], 1),
};

/** What λ is made of: four vectors [D], the same for all heads of a layer. */
export type LambdaParams = { q1: Tensor; k1: Tensor; q2: Tensor; k2: Tensor };

/** λ₀, which a layer's λ starts near: `0.8 − 0.6·exp(−0.3·layer)`, the first layer being 0. */
export function initialLambda(layer: number): number {
  return 0.8 - 0.6 * Math.exp(-0.3 * layer);
}

/** `λ = exp(q₁·k₁) − exp(q₂·k₂) + λ₀`, a scalar. */
export function lambdaOf({ q1, k1, q2, k2 }: LambdaParams, initial: number): Tensor {
  const raised = (a: Tensor, b: Tensor) => exp(sum(cast(mul(a, b), "float32")));
  return add(sub(raised(q1, k1), raised(q2, k2)), initial);
}

/** `first − λ·second` of each pair: [B, H, T, W] → [B, H/2, T, W]. */
export function difference(x: Tensor, lambda: Tensor, pairs: HeadPairs): Tensor {
  const [first, second] = pairs.split(x);
  return sub(first, mul(second, cast(lambda, x.dtype)));
}

/** `(1 − λ₀)·rms(x)` over the features of each head, with a gain [W] where there is one. */
export function normOfHeads(x: Tensor, gain: Tensor | undefined, initial: number, epsilon: number): Tensor {
  const weight = gain ?? ones([x.shape.at(-1)!], x.dtype);
  return mul(rmsNormalization(x, weight, epsilon), 1 - initial);
}
