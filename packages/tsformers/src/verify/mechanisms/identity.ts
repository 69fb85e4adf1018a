import { constant, fromNumbers, type Tensor } from "@tsformers/engine";

/** The weight of a projection that fixtures leave away, [size, size]. */
export function identity(size: number): Tensor {
  const cells = Array.from({ length: size ** 2 }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return constant(fromNumbers(cells, [size, size]));
}
