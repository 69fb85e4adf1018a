import {
  add,
  constant,
  div,
  flatten,
  isFloat,
  isTensor,
  minimum,
  sqrt,
  square,
  sum,
  type Tensor,
} from "@tsformers/engine";

/** The length of all gradients taken as one vector, `√(Σ g²)`. @shape a tree → [] */
export function globalNorm(gradients: unknown): Tensor {
  const floats = flatten(gradients, isTensor).leaves.filter(({ dtype }) => isFloat(dtype));
  const squares = floats.map((gradient) => sum(square(gradient)));
  return sqrt(squares.reduce((total, part) => add(total, part), constant(0)));
}

/**
 * The factor that brings a norm down to `most`, `min(1, most / (norm + 1e-6))`, as in PyTorch. Multiplying gradients by
 * it, together with every other factor that they all share, costs one pass.
 *
 * @source Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", Algorithm 1
 */
export function clipFactor(norm: Tensor, most: number): Tensor {
  if (!(most > 0)) throw new RangeError(`clipFactor: the largest norm must be > 0, got ${most}`);
  return minimum(div(most, add(norm, 1e-6)), 1);
}
