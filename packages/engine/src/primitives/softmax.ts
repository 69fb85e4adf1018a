import { isFloat } from "../array/dtype.ts";
import { resolveAxis, shapeText } from "../array/shape.ts";
import { asTensor, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { mul, sub } from "./arithmetic.ts";
import { mapElements } from "./elementwise.ts";
import { exp } from "./exponential.ts";
import type { Primitive, ReferenceArray } from "./primitive.ts";
import { reduceElements, sum } from "./reduce.ts";

type AxisParams = { readonly axis: number };

function lanes(x: ReferenceArray, axis: number, finish: (shifted: number, total: number) => number): Float64Array {
  const kept = x.shape.map((n, i) => (i === axis ? 1 : n));
  const lane = (data: Float64Array): ReferenceArray => ({ shape: kept, dtype: x.dtype, data });
  const peak = lane(reduceElements(x, [axis], Number.NEGATIVE_INFINITY, Math.max));
  const shifted = { ...x, data: mapElements([x, peak], x.shape, (value, top) => value! - top!) };
  const total = lane(reduceElements({ ...shifted, data: shifted.data.map(Math.exp) }, [axis], 0, (a, b) => a + b));
  return mapElements([shifted, total], x.shape, (value, all) => finish(value!, all!));
}

function lanePrimitive(
  name: string,
  op: string,
  gradient: (dy: Tensor, y: Tensor, axis: number) => Tensor,
  finish: (shifted: number, total: number) => number,
): Primitive<AxisParams> {
  return {
    name,
    type: ([x]) => {
      if (!isFloat(x!.dtype))
        throw new TypeError(`${name}: expected a float array, got ${x!.dtype}${shapeText(x!.shape)}`);
      return [x!];
    },
    gradient: ({ outputs: [y], cotangents: [dy], params: { axis } }) => [gradient(dy!, y!, axis)],
    lower: ({ graph, names, params }) => [graph.node(op, names, { attributes: { axis: { int: params.axis } } })],
    evaluate: ([x], { axis }) => [lanes(x!, axis, finish)],
  };
}

export const softmaxPrimitive: Primitive<AxisParams> = lanePrimitive(
  "softmax",
  "Softmax",
  (dy, y, axis) => {
    const weighted = mul(dy, y);
    return sub(weighted, mul(y, sum(weighted, { axes: axis, keepDims: true })));
  },
  (shifted, total) => Math.exp(shifted) / total,
);

export const logSoftmaxPrimitive: Primitive<AxisParams> = lanePrimitive(
  "logSoftmax",
  "LogSoftmax",
  (dy, y, axis) => sub(dy, mul(exp(y), sum(dy, { axes: axis, keepDims: true }))),
  (shifted, total) => shifted - Math.log(total),
);

/** `exp(x) / Σ exp(x)` along `axis`, computed without overflow. */
export function softmax(value: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  return bindOne(softmaxPrimitive, [x], { axis: resolveAxis("softmax", axis, x.shape) });
}

/** `x − log Σ exp(x)` along `axis`, computed without overflow. */
export function logSoftmax(value: TensorLike, axis = -1): Tensor {
  const x = asTensor(value);
  return bindOne(logSoftmaxPrimitive, [x], { axis: resolveAxis("logSoftmax", axis, x.shape) });
}
