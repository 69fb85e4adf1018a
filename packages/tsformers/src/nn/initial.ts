import { full, type NDArray, normal, type RandomKey, type Shape, truncatedNormal, uniform } from "@tsformers/engine";

/** How a parameter starts. */
export type Initial = (key: RandomKey, shape: Shape) => NDArray;

export const zeros: Initial = (_, shape) => full(shape, 0);

export const ones: Initial = (_, shape) => full(shape, 1);

/** Normal with the given deviation; 0.02 is GPT-2's and BERT's. */
export function normalInitial(deviation = 0.02): Initial {
  return (key, shape) => normal(key, shape, { deviation });
}

/** Normal with the given deviation, cut off at two deviations; BERT's own initialisation. */
export function truncatedInitial(deviation = 0.02): Initial {
  return (key, shape) => truncatedNormal(key, shape, { deviation });
}

/**
 * Uniform on ±√(6 / (in + out)) for a matrix [in, out].
 * @source Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16
 */
export function glorotUniform(): Initial {
  return (key, shape) => {
    const limit = Math.sqrt(6 / (shape.at(-2)! + shape.at(-1)!));
    return uniform(key, shape, { low: -limit, high: limit });
  };
}
