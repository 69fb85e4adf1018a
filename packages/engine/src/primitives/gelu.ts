import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { erf, erfNumber, exp, sigmoid } from "./exponential.ts";
import type { Primitive } from "./primitive.ts";

type GeluParams = { readonly approximate: "none" | "tanh" };

const c = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

export const geluPrimitive: Primitive<GeluParams> = {
  name: "gelu",
  type: ([x]) => [x!],
  gradient: ({ inputs: [x], outputs: [y], cotangents: [dy], params }) => [
    params.approximate === "tanh" ? tanhGradient(dy!, x!, y!) : erfGradient(dy!, x!),
  ],
  lower: ({ graph, names, inputs: [x], params }) => {
    const attributes = { approximate: { string: params.approximate } };
    // ONNX Runtime's Gelu is float32 and float16 only.
    if (x!.dtype !== "float64") return [graph.node("Gelu", names, { attributes })];
    return [graph.cast(graph.node("Gelu", [graph.cast(names[0]!, "float32")], { attributes }), "float64")];
  },
  evaluate: ([x], { approximate }) => [
    x!.data.map((value) =>
      approximate === "tanh"
        ? 0.5 * value * (1 + Math.tanh(c * (value + cubic * value ** 3)))
        : 0.5 * value * (1 + erfNumber(value / Math.SQRT2)),
    ),
  ],
};

/** ½(1 + tanh z) = σ(2z) = p, so y = x·p and y′ = p + y·(1 − p)·2z′. */
function tanhGradient(dy: Tensor, x: Tensor, y: Tensor): Tensor {
  const square = mul(x, x);
  const p = sigmoid(mul(x, add(mul(square, 2 * c * cubic), 2 * c)));
  const slope = add(mul(square, 6 * c * cubic), 2 * c);
  return mul(dy, add(p, mul(mul(y, slope), sub(1, p))));
}

/** y′ = Φ(x) + x·φ(x) */
function erfGradient(dy: Tensor, x: Tensor): Tensor {
  const cumulative = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
  const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return mul(dy, add(cumulative, mul(x, density)));
}

/**
 * Gaussian error linear unit, `x · Φ(x)`; with `approximate: "tanh"`, `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`.
 *
 * @source Hendrycks & Gimpel 2016, arXiv:1606.08415. GPT-2 uses the tanh form, BERT the exact one.
 */
export function gelu(x: TensorLike, options: Partial<GeluParams> = {}): Tensor {
  return bindOne(geluPrimitive, [asTensor(x)], { approximate: options.approximate ?? "none" });
}
