import type { Tensor, TensorLike } from "../trace/tensor.ts";
import { binary, binaryPrimitive, type NoParams, operator, unary, unaryPrimitive } from "./elementwise.ts";
import type { Primitive } from "./primitive.ts";

type Comparison = (a: TensorLike, b: TensorLike) => Tensor;

function comparison(name: string, op: string, holds: (a: number, b: number) => boolean): Primitive<NoParams> {
  return binaryPrimitive({
    name,
    evaluate: (a, b) => (holds(a, b) ? 1 : 0),
    onnx: op,
    accepts: (dtype) => dtype !== "uint8" && (dtype !== "bool" || name === "equal"),
    gives: "bool",
  });
}

function logical(name: string, op: string, holds: (a: number, b: number) => boolean): Primitive<NoParams> {
  return binaryPrimitive({
    name,
    evaluate: (a, b) => (holds(a, b) ? 1 : 0),
    onnx: op,
    accepts: (dtype) => dtype === "bool",
    gives: "bool",
  });
}

export const equalPrimitive: Primitive<NoParams> = comparison("equal", "Equal", (a, b) => a === b);
export const lessPrimitive: Primitive<NoParams> = comparison("less", "Less", (a, b) => a < b);
export const lessEqualPrimitive: Primitive<NoParams> = comparison("lessEqual", "LessOrEqual", (a, b) => a <= b);
export const andPrimitive: Primitive<NoParams> = logical("and", "And", (a, b) => a !== 0 && b !== 0);
export const orPrimitive: Primitive<NoParams> = logical("or", "Or", (a, b) => a !== 0 || b !== 0);
export const notPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "not",
  evaluate: (x) => (x === 0 ? 1 : 0),
  onnx: operator("Not"),
  accepts: (dtype) => dtype === "bool",
});

/** Element-wise `a = b`, as bool. */
export const equal: Comparison = binary(equalPrimitive);
/** Element-wise `a < b`, as bool. */
export const less: Comparison = binary(lessPrimitive);
/** Element-wise `a ≤ b`, as bool. */
export const lessEqual: Comparison = binary(lessEqualPrimitive);
/** Element-wise `a > b`, as bool. */
export const greater: Comparison = (a, b) => less(b, a);
/** Element-wise `a ≥ b`, as bool. */
export const greaterEqual: Comparison = (a, b) => lessEqual(b, a);
/** Element-wise `a ≠ b`, as bool. */
export const notEqual: Comparison = (a, b) => not(equal(a, b));
/** Both hold. */
export const and: Comparison = binary(andPrimitive);
/** At least one holds. */
export const or: Comparison = binary(orPrimitive);
/** Does not hold. */
export const not: (x: TensorLike) => Tensor = unary(notPrimitive);
