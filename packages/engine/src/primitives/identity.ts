import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { type NoParams, none } from "./elementwise.ts";
import { noGradient, type Primitive } from "./primitive.ts";

export const stopGradientPrimitive: Primitive<NoParams> = {
  name: "stopGradient",
  type: ([x]) => [x!],
  gradient: noGradient,
  lower: ({ names }) => [names[0]!],
  evaluate: ([x]) => [x!.data],
};

/** `x` itself, treated as a constant by differentiation. */
export function stopGradient(x: TensorLike): Tensor {
  return bindOne(stopGradientPrimitive, [asTensor(x)], none);
}

export const aliasPrimitive: Primitive<NoParams> = {
  name: "alias",
  type: ([x]) => [x!],
  gradient: ({ cotangents }) => [cotangents[0]],
  lower: ({ names }) => [names[0]!],
  evaluate: ([x]) => [x!.data],
};

/** `x` under a new name, so that it can be differentiated against on its own. Costs nothing. */
export function alias(x: TensorLike): Tensor {
  return bindOne(aliasPrimitive, [asTensor(x)], none);
}

export const afterPrimitive: Primitive<NoParams> = {
  name: "after",
  type: ([x]) => [x!],
  gradient: ({ cotangents: [dy] }) => [dy, undefined],
  // ONNX Runtime orders nodes by a depth-first walk from the leaves; a data dependency is the only order it honours.
  // One element of the other value, times zero, added to x: a scalar's worth of work (x is not rewritten where Add is in place).
  lower: ({ graph, names, inputs: [x, first] }) => {
    const element = graph.node("Reshape", [
      graph.node("Slice", [graph.node("Reshape", [names[1]!, graph.ints([-1])]), graph.ints([0]), graph.ints([1])]),
      graph.ints([]),
    ]);
    const same = first!.dtype === x!.dtype ? element : graph.cast(element, x!.dtype);
    return [graph.node("Add", [names[0]!, graph.node("Mul", [same, graph.scalar(0, x!.dtype)])])];
  },
  evaluate: ([x]) => [x!.data],
};

/**
 * `x`, computed on no earlier than `first`: a scheduling edge. Recomputed activations wait for the gradient that needs
 * them this way, instead of being computed early and kept.
 */
export function after(x: Tensor, first: Tensor): Tensor {
  return bindOne(afterPrimitive, [x, first], none);
}
