import { abs, add, less, maximum, mul, type Tensor, where } from "@tsformers/engine";

/** Turns a query's sum of weights into the denominator of its weighted sum of values. [B, H, T, 1] → [B, H, T, 1]. */
export type Denominator = (weights: Tensor) => Tensor;

/** Sums below it count as 0: their reciprocals would overflow. */
const smallest = 1e-30;

/** The sum itself. A sum of 0 means that the query sees no key; the result is then 0. */
export const exactly: Denominator = (weights) => where(less(abs(weights), smallest), 1, weights);

/** `sum + ε`, as in the authors' code of the Linear Transformer. */
export function plus(epsilon: number): Denominator {
  return (weights) => add(weights, epsilon);
}

/** `sign(sum)·max(|sum|, least)`: the authors' code of RFA, where all positions are computed at once. */
export function awayFromZero(least: number): Denominator {
  return (weights) => mul(maximum(abs(weights), least), where(less(weights, 0), -1, 1));
}

/** `max(sum, least)`: the authors' code of RFA, where positions are computed one by one. */
export function atLeast(least: number): Denominator {
  return (weights) => maximum(weights, least);
}
