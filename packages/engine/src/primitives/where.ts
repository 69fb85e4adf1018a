import { broadcastShapes, shapeText } from "../array/shape.ts";
import { asTensor, asTensors, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { mapElements, type NoParams, none } from "./elementwise.ts";
import type { Primitive } from "./primitive.ts";
import { sumTo } from "./reduce.ts";

export const wherePrimitive: Primitive<NoParams> = {
  name: "where",
  type: ([condition, a, b]) => {
    if (condition!.dtype !== "bool") {
      throw new TypeError(`where: the condition must be bool, got ${condition!.dtype}${shapeText(condition!.shape)}`);
    }
    if (a!.dtype !== b!.dtype)
      throw new TypeError(`where: dtypes differ, ${a!.dtype} and ${b!.dtype}; cast one of them`);
    const shape = broadcastShapes("where", condition!.shape, broadcastShapes("where", a!.shape, b!.shape));
    return [{ shape, dtype: a!.dtype }];
  },
  gradient: ({ inputs: [condition, a, b], cotangents: [dy], wanted }) => [
    undefined,
    wanted[1] ? sumTo(where(condition!, dy!, 0), a!.shape) : undefined,
    wanted[2] ? sumTo(where(condition!, 0, dy!), b!.shape) : undefined,
  ],
  lower: ({ graph, names, inputs: [, a] }) => {
    if (a!.dtype !== "bool") return [graph.node("Where", names)];
    // ONNX Runtime has no Where for bool: (c ∧ a) ∨ (¬c ∧ b).
    const [condition, whenTrue, whenFalse] = names as [string, string, string];
    const other = graph.node("And", [graph.node("Not", [condition]), whenFalse]);
    return [graph.node("Or", [graph.node("And", [condition, whenTrue]), other])];
  },
  evaluate: (inputs, _, [output]) => [mapElements(inputs, output!.shape, (c, a, b) => (c !== 0 ? a! : b!))],
};

/** `a` where the condition holds, `b` elsewhere; the three broadcast. */
export function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  return bindOne(wherePrimitive, [asTensor(condition), ...asTensors(a, b)], none);
}
