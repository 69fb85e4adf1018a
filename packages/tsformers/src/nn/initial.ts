import { full, type NDArray, normal, type RandomKey, type Shape, truncatedNormal, uniform } from "@tsformers/engine";

/** Draws the initial value of a parameter of the given shape. */
export type Initial = (key: RandomKey, shape: Shape) => NDArray;

export const zerosInitial: Initial = (_, shape) => full(shape, 0);

export const onesInitial: Initial = (_, shape) => full(shape, 1);

/** Normal with the given standard deviation. Default: 0.02, as in GPT-2 and BERT. */
export function normalInitial(deviation = 0.02): Initial {
  return (key, shape) => normal(key, shape, { deviation });
}

/** Normal with the given standard deviation, truncated at two of them, as BERT is initialised. Default: 0.02. */
export function truncatedInitial(deviation = 0.02): Initial {
  return (key, shape) => truncatedNormal(key, shape, { deviation });
}

/** Uniform on ±1/√in for a matrix [in, out]: how PyTorch starts linear layers. */
export function fanInUniform(): Initial {
  return (key, shape) => {
    const limit = shape[0]! ** -0.5;
    return uniform(key, shape, { low: -limit, high: limit });
  };
}

/**
 * Uniform on ±gain·√(6 / (in + out)) for a matrix [in, out]. Default: gain 1.
 *
 * @source Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16
 */
export function glorotUniform(gain = 1): Initial {
  return (key, shape) => {
    const limit = gain * Math.sqrt(6 / (shape.at(-2)! + shape.at(-1)!));
    return uniform(key, shape, { low: -limit, high: limit });
  };
}
