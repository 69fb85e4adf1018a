import { constant, customGradient, fromNumbers, gather, type Tensor } from "@tsformers/engine";

/** Permutes `x` along `axis`: element i of the result is element `order[i]` of `x`. The gradient is the inverse permutation. */
export function rearrange(x: Tensor, order: Int32Array, axis: number): Tensor {
  const indices = (from: Int32Array) => constant(fromNumbers(from, [from.length], "int32"));
  return customGradient({
    forward: (x) => [gather(x!, indices(order), axis)],
    backward: ({ cotangents: [dy] }) => [gather(dy!, indices(inverseOf(order)), axis)],
  })(x)[0]!;
}

/** The inverse permutation: `inverse[order[i]] = i`. */
export function inverseOf(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  order.forEach((from, i) => {
    inverse[from] = i;
  });
  return inverse;
}
