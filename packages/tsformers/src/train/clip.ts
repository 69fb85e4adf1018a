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
import { isSmall, joinRows, rowType } from "./small-arrays.ts";

/** The norm of all gradients as one vector, `√(Σ g²)`. @shape a tree → scalar */
export function globalNorm(gradients: unknown): Tensor {
  const floats = flatten(gradients, isTensor).leaves.filter(({ dtype }) => isFloat(dtype));
  const [small, large] = [floats.filter(isSmall), floats.filter((gradient) => !isSmall(gradient))];
  const joined = [...new Set(small.map(rowType))].map((type) =>
    joinRows(small.filter((gradient) => rowType(gradient) === type)),
  );
  const squares = [...joined, ...large].map((gradient) => sum(square(gradient)));
  return sqrt(squares.reduce((total, part) => add(total, part), constant(0)));
}

/**
 * The factor that scales a norm down to at most `most`, `min(1, most / (norm + 1e-6))`, as in PyTorch. Multiplied into the other
 * factors that all gradients share, it costs no pass of its own.
 *
 * @source Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", Algorithm 1
 */
export function clipFactor(norm: Tensor, most: number): Tensor {
  if (!(most > 0)) throw new RangeError(`clipFactor: the largest norm must be > 0, got ${most}`);
  return minimum(div(most, add(norm, 1e-6)), 1);
}
