import type { Tensor, TensorLike } from "../trace/tensor.ts";
import { div, mul, neg, square, sub } from "./arithmetic.ts";
import { type NoParams, operator, unary, unaryPrimitive } from "./elementwise.ts";
import type { Primitive } from "./primitive.ts";

type Unary = (x: TensorLike) => Tensor;

export const expPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "exp",
  evaluate: Math.exp,
  onnx: operator("Exp"),
  gradient: (dy, _, y) => mul(dy, y),
});

/** `eˣ` */
export const exp: Unary = unary(expPrimitive);

export const logPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "log",
  evaluate: Math.log,
  onnx: operator("Log"),
  gradient: (dy, x) => div(dy, x),
});

/** Natural logarithm. */
export const log: Unary = unary(logPrimitive);

export const sqrtPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "sqrt",
  evaluate: Math.sqrt,
  onnx: operator("Sqrt"),
  gradient: (dy, _, y) => div(mul(dy, 0.5), y),
});

/** `√x` */
export const sqrt: Unary = unary(sqrtPrimitive);

export const tanhPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "tanh",
  evaluate: Math.tanh,
  onnx: operator("Tanh"),
  // dy − dy·y² rather than dy·(1 − y²): every term depends on dy, so nothing can be computed early and kept in memory
  gradient: (dy, _, y) => sub(dy, mul(mul(dy, y), y)),
});

/** Hyperbolic tangent. */
export const tanh: Unary = unary(tanhPrimitive);

export const sigmoidPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "sigmoid",
  evaluate: (x) => 1 / (1 + Math.exp(-x)),
  onnx: operator("Sigmoid"),
  gradient: (dy, _, y) => {
    const scaled = mul(dy, y);
    return sub(scaled, mul(scaled, y));
  },
});

/** `1 / (1 + e⁻ˣ)` */
export const sigmoid: Unary = unary(sigmoidPrimitive);

export const sinPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "sin",
  evaluate: Math.sin,
  onnx: operator("Sin"),
  gradient: (dy, x) => mul(dy, cos(x)),
});

/** Sine of radians. */
export const sin: Unary = unary(sinPrimitive);

export const cosPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "cos",
  evaluate: Math.cos,
  onnx: operator("Cos"),
  gradient: (dy, x) => neg(mul(dy, sin(x))),
});

/** Cosine of radians. */
export const cos: Unary = unary(cosPrimitive);

export const erfPrimitive: Primitive<NoParams> = unaryPrimitive({
  name: "erf",
  evaluate: erfNumber,
  // ONNX Runtime's Erf is float32 only.
  onnx: (graph, x, { dtype }) =>
    dtype === "float64" ? graph.cast(graph.node("Erf", [graph.cast(x, "float32")]), dtype) : graph.node("Erf", [x]),
  gradient: (dy, x) => mul(mul(dy, 2 / Math.sqrt(Math.PI)), exp(neg(square(x)))),
});

/** Error function, `2/√π ∫₀ˣ e^(−t²) dt`. */
export const erf: Unary = unary(erfPrimitive);

/**
 * The error function to full double precision: its Maclaurin series near 0, the continued fraction of erfc elsewhere.
 * @source Abramowitz & Stegun 1964, 7.1.6 and 7.1.14
 */
export function erfNumber(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = a;
  for (let n = 120; n >= 1; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}
