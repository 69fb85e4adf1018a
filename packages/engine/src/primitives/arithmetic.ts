import type { Tensor, TensorLike } from "../trace/tensor.ts";
import { lessEqual } from "./comparison.ts";
import { binary, binaryPrimitive, type NoParams, operator, unary, unaryPrimitive } from "./elementwise.ts";
import { log } from "./exponential.ts";
import type { Primitive } from "./primitive.ts";
import { where } from "./where.ts";

type Binary = (a: TensorLike, b: TensorLike) => Tensor;
type Unary = (x: TensorLike) => Tensor;

const isNumber = (dtype: string) => dtype !== "bool" && dtype !== "uint8";
const trunc = (x: number, dtype: string) => (dtype.startsWith("int") ? Math.trunc(x) : x);

export const addPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "add",
  evaluate: (a, b) => a + b,
  onnx: "Add",
  gradient: [(dy) => dy, (dy) => dy],
});

/** `a + b`, broadcasting. */
export const add: Binary = binary(addPrimitive);

export const subPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "sub",
  evaluate: (a, b) => a - b,
  onnx: "Sub",
  gradient: [(dy) => dy, (dy) => neg(dy)],
});

/** `a − b`, broadcasting. */
export const sub: Binary = binary(subPrimitive);

export const mulPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "mul",
  evaluate: (a, b) => a * b,
  onnx: "Mul",
  gradient: [(dy, _, b) => mul(dy, b), (dy, a) => mul(dy, a)],
});

/** `a · b`, element by element, broadcasting. */
export const mul: Binary = binary(mulPrimitive);

export const divPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "div",
  evaluate: (a, b, dtype) => trunc(a / b, dtype),
  onnx: "Div",
  gradient: [(dy, _, b) => div(dy, b), (dy, _, b, y) => neg(mul(dy, div(y, b)))],
});

/** `a / b`, broadcasting. Integers divide towards zero. */
export const div: Binary = binary(divPrimitive);

export const powPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "pow",
  evaluate: (a, b) => a ** b,
  onnx: "Pow",
  gradient: [
    (dy, a, b) => mul(dy, mul(b, pow(a, sub(b, 1)))),
    // d aᵇ/db = aᵇ ln a, which is 0 at a = 0 for b > 0
    (dy, a, _, y) => mul(dy, mul(y, log(where(lessEqual(a, 0), 1, a)))),
  ],
});

/** `aᵇ`, broadcasting. */
export const pow: Binary = binary(powPrimitive);

export const modPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "mod",
  evaluate: (a, b) => ((a % b) + b) % b,
  onnx: (graph, a, b, { dtype }) =>
    dtype.startsWith("int")
      ? graph.node("Mod", [a, b])
      : graph.node("Sub", [a, graph.node("Mul", [b, graph.node("Floor", [graph.node("Div", [a, b])])])]),
  accepts: isNumber,
});

/** Remainder with the sign of the divisor, `a − b·⌊a/b⌋`. No gradient. */
export const mod: Binary = binary(modPrimitive);

export const maximumPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "maximum",
  evaluate: (a, b) => Math.max(a, b),
  onnx: "Max",
  gradient: [(dy, a, b) => where(lessEqual(b, a), dy, 0), (dy, a, b) => where(lessEqual(b, a), 0, dy)],
  accepts: isNumber,
});

/** The larger of two elements. Where they are equal the gradient goes to the first. */
export const maximum: Binary = binary(maximumPrimitive);

export const minimumPrimitive: Primitive<NoParams> = binaryPrimitive({
  name: "minimum",
  evaluate: (a, b) => Math.min(a, b),
  onnx: "Min",
  gradient: [(dy, a, b) => where(lessEqual(a, b), dy, 0), (dy, a, b) => where(lessEqual(a, b), 0, dy)],
  accepts: isNumber,
});

/** The smaller of two elements. Where they are equal the gradient goes to the first. */
export const minimum: Binary = binary(minimumPrimitive);

export const negPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "neg",
  evaluate: (x) => -x,
  onnx: operator("Neg"),
  gradient: (dy) => neg(dy),
  accepts: isNumber,
});

/** `−x` */
export const neg: Unary = unary(negPrimitive);

export const absPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "abs",
  evaluate: Math.abs,
  onnx: operator("Abs"),
  gradient: (dy, x) => mul(dy, sign(x)),
  accepts: isNumber,
});

/** `|x|`, with gradient 0 at 0. */
export const abs: Unary = unary(absPrimitive);

export const signPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "sign",
  evaluate: Math.sign,
  onnx: operator("Sign"),
  accepts: isNumber,
});

/** −1, 0 or 1. No gradient. */
export const sign: Unary = unary(signPrimitive);

export const floorPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "floor",
  evaluate: Math.floor,
  onnx: operator("Floor"),
});

/** The largest integer not above x. No gradient. */
export const floor: Unary = unary(floorPrimitive);

/** The smallest integer not below x. No gradient. */
export function ceil(x: TensorLike): Tensor {
  return neg(floor(neg(x)));
}

/** `max(x, 0)`. At 0 the gradient is 0: `maximum` gives ties to its first operand. */
export function relu(x: TensorLike): Tensor {
  return maximum(0, x);
}

/** `x²` */
export function square(x: TensorLike): Tensor {
  return mul(x, x);
}
