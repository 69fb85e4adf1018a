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

/** The identity, with no gradient: differentiation treats the result as a constant. */
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

/** `x` as a new tensor, so that it can be differentiated with respect to it separately. Costs nothing. */
export function alias(x: TensorLike): Tensor {
  return bindOne(aliasPrimitive, [asTensor(x)], none);
}

export const afterPrimitive: Primitive<NoParams> = {
  name: "after",
  type: ([x]) => [x!],
  gradient: ({ inputs, cotangents: [dy] }) => inputs.map((_, i) => (i === 0 ? dy : undefined)),
  // ONNX Runtime orders nodes by a depth-first walk from the leaves; only a data dependency can influence the order.
  // Adds to x one element of each other value, times zero: the work of a scalar (x is not rewritten where Add is in place).
  lower: ({ graph, names, inputs: [x, ...firsts] }) => {
    const alike = new Map<string, { readonly rank: number; readonly cuts: string[] }>();
    firsts.forEach(({ shape, dtype }, i) => {
      const rank = shape.length;
      const bounds = [0, 1].map((bound) => graph.ints(shape.map(() => bound)));
      const cut = rank === 0 ? names[i + 1]! : graph.node("Slice", [names[i + 1]!, ...bounds]);
      const known = alike.get(`${dtype} ${rank}`) ?? { rank, cuts: [] };
      alike.set(`${dtype} ${rank}`, known);
      known.cuts.push(dtype === x!.dtype ? cut : graph.cast(cut, x!.dtype));
    });
    const elements = [...alike.values()].flatMap(({ rank, cuts }) => {
      const sums = cuts.length === 1 || x!.dtype === "int32" ? cuts : [graph.node("Sum", cuts)];
      // Of no more axes than x has, it is broadcast to them as it is.
      return rank <= x!.shape.length ? sums : sums.map((name) => graph.node("Reshape", [name, graph.ints([])]));
    });
    const all = elements.reduce((a, b) => graph.node("Add", [a, b]));
    return [graph.node("Add", [names[0]!, graph.node("Mul", [all, graph.scalar(0, x!.dtype)])])];
  },
  evaluate: ([x]) => [x!.data],
};

/**
 * `x`, scheduled to be computed after each of `firsts`. Recomputed activations use it to wait for the gradient that needs
 * them, instead of being computed early and kept in memory.
 */
export function after(x: Tensor, ...firsts: readonly Tensor[]): Tensor {
  return firsts.length === 0 ? x : bindOne(afterPrimitive, [x, ...firsts], none);
}

export const keptPrimitive: Primitive<NoParams> = {
  name: "kept",
  type: ([x]) => [x!],
  gradient: noGradient,
  lower: ({ names }) => [names[0]!],
  evaluate: ([x]) => [x!.data],
};

/**
 * The identity, with no gradient, that {@link reversibleSteps} stores in the forward pass instead of recomputing: for choices that
 * rounding errors could change, such as hash buckets. Inside a nested program (`recompute`, `scan`) it
 * has no effect.
 */
export function kept(x: TensorLike): Tensor {
  return bindOne(keptPrimitive, [asTensor(x)], none);
}
