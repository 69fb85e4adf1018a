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
  gradient: ({ inputs, cotangents: [dy] }) => inputs.map((_, i) => (i === 0 ? dy : undefined)),
  // ONNX Runtime orders nodes by a depth-first walk from the leaves; a data dependency is the only order it honours.
  // One element of each other value, times zero, added to x: a scalar's worth of work (x is not rewritten where Add is in place).
  lower: ({ graph, names, inputs: [x, ...firsts] }) => {
    const alike = new Map<string, string[]>();
    firsts.forEach(({ shape, dtype }, i) => {
      const bounds = [0, 1].map((bound) => graph.ints(shape.map(() => bound)));
      const cut = shape.length === 0 ? names[i + 1]! : graph.node("Slice", [names[i + 1]!, ...bounds]);
      const key = `${dtype} ${shape.length}`;
      alike.set(key, [...(alike.get(key) ?? []), dtype === x!.dtype ? cut : graph.cast(cut, x!.dtype)]);
    });
    const elements = [...alike.values()].map((own) => {
      const one = own.length === 1 || x!.dtype === "int32" ? own : [graph.node("Sum", own)];
      return one.map((name) => graph.node("Reshape", [name, graph.ints([])]));
    });
    const all = elements.flat().reduce((a, b) => graph.node("Add", [a, b]));
    return [graph.node("Add", [names[0]!, graph.node("Mul", [all, graph.scalar(0, x!.dtype)])])];
  },
  evaluate: ([x]) => [x!.data],
};

/**
 * `x`, computed on no earlier than each of `firsts`: scheduling edges. Recomputed activations wait for the gradient that needs
 * them this way, instead of being computed early and kept.
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
 * `x` itself, treated as a constant by differentiation, that {@link reversible} keeps from the forward pass instead of computing
 * it again: choices that rounding could turn over, such as the buckets of hashes. Said inside a nested program (`recompute`,
 * `scan`) it does nothing.
 */
export function kept(x: TensorLike): Tensor {
  return bindOne(keptPrimitive, [asTensor(x)], none);
}
