import { abs, add, equal, less, lessEqual, maximum, mul, type Tensor, where } from "@tsformers/engine";

/** Makes of the sum of a query's weights what its sum of values is divided by. */
export type Denominator = (weights: Tensor) => Tensor;

/** The sum itself; where it is 0 nothing was seen, and the result is 0. */
export const exactly: Denominator = (weights) => where(equal(weights, 0), 1, weights);

/** The sum and a little more, as the authors of the Linear Transformer have it. */
export function plus(epsilon: number): Denominator {
  return (weights) => add(weights, epsilon);
}

/** The sum, and 2ε more where it lies within ε of 0, as the authors of the Performer have it. */
export function nudged(epsilon: number): Denominator {
  return (weights) => where(lessEqual(abs(weights), epsilon), add(weights, 2 * epsilon), weights);
}

/** The sum with at least this magnitude and its own sign: of the authors of RFA, where they compute all positions at once. */
export function awayFromZero(least: number): Denominator {
  return (weights) => mul(maximum(abs(weights), least), where(less(weights, 0), -1, 1));
}

/** The sum, at least this: of the authors of RFA, where they compute position by position. */
export function atLeast(least: number): Denominator {
  return (weights) => maximum(weights, least);
}
